// Where solvers begin: the dual's bound and a good assignment.
#pragma once

#include "search/dual.hpp"

namespace qtool::search {

struct Start {
  Dual dual;
  std::optional<Assignment> best;  // within the limits; absent when none was found
};
// `rounds`: most steps of the local search.
Start make_start(const Table& table, int rounds);

// Repairs, fills and improves an assignment; nullopt when repair gets stuck.
std::optional<Assignment> polish(const Table& table, const std::vector<double>& price, int rounds,
                                 Assignment a);

Solution finish(const Problem& problem, const Table& table, const Start& start);

}  // namespace qtool::search
