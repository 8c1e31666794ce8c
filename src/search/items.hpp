// What a search chooses for, made of the groups of a score table.
#pragma once

#include <functional>
#include <limits>

#include "qtool/assign.hpp"

namespace qtool::search {

// A group inside an item, and where its width is written in the plan.
struct Part {
  GroupKind kind;
  std::vector<std::string> names;  // layers that share one weight, or one activation
  int64_t filter = -1;             // of the layers' output channels; −1: all of them
};

// What one choice is made for: a group, or several whose widths cannot be chosen apart.
struct Item {
  std::vector<Part> parts;
  std::vector<std::vector<Width>> widths;                        // [choice][part]
  std::vector<double> loss;                                      // [choice]
  double importance = std::numeric_limits<double>::quiet_NaN();  // not a number: unknown
  std::vector<std::vector<float>> error = {};                    // see Problem::error
};

// One item a group, or a filter; layers that share a weight are one. What `fixed` keeps by a rule, and what
// layers that it keeps read, does not take part.
std::vector<Item> make_items(const Sites& sites, const ScoreTable& scores, const QuantPlan& fixed,
                             bool per_filter);

// Whether the width of a layer and that of what it reads cost, or are allowed, only together; of both the
// candidates.
using Coupled = std::function<bool(const LayerSite&, const std::vector<Width>& weights,
                                   const std::vector<Width>& inputs)>;
// Coupled items become one with all pairs of choices, ascending in the sum of their widths. Throws
// Error{kUsage, QT-E125} when those are too many.
std::vector<Item> join_items(std::vector<Item> items, const Sites& sites, const Coupled& coupled);

// Candidates of an item that is one group.
std::vector<Width> widths_of(const Item& item);

}  // namespace qtool::search
