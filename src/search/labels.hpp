// Assignments built group by group, the best of their kind kept (label setting with Lagrangian fathoming, Weingartner
// and Ness 1967): closes what prices alone leave open where single choices cost a large part of a limit.
#pragma once

#include <optional>

#include "search/table.hpp"

namespace qtool::search {

struct Labelled {
  std::optional<Assignment> best;  // below the ceiling
  double bound = 0;  // on every assignment; the best one's loss, or the ceiling, where all was seen
};
// Looks for losses below `ceiling`, pricing about `work` choices; `price` are good prices of the limits.
Labelled search_labels(const Table& table, const std::vector<double>& price, double ceiling,
                       int64_t work);

}  // namespace qtool::search
