// The Lagrangian dual: limits become prices, groups fall apart, and the best prices give a bound
// that no assignment within the limits can beat (Everett 1963; Fisher 1981).
#pragma once

#include <functional>
#include <vector>

#include "search/table.hpp"

namespace qtool::search {

// The items of each group that a search node still allows: [low[g], high[g]).
struct Ranges {
  std::vector<int> low, high;
};
Ranges all_items(const Table& table);

// The cheapest assignment at given prices.
struct Relaxed {
  double bound = 0;       // lower bound on every assignment within ranges and limits, rounding paid
  Assignment assignment;  // ties go to the lower index
};
// `price`: loss per unit of each limit's cost, ≥ 0.
Relaxed relax(const Table& table, const Ranges& ranges, const std::vector<double>& price);

struct Dual {
  std::vector<double> price;  // [k]
  double bound = 0;           // at `price`
  std::vector<int> item;      // an assignment that is cheapest at `price` (to rounding); with one
                              // limit it holds the limit
  bool excluded = false;      // the bound lies above every possible loss: nothing fits
};
// Called with every assignment within the limits that is met on the way.
using OnFit = std::function<void(const Assignment&)>;

// The best prices: exact for one limit (secant steps between a fitting and a non-fitting
// assignment, at most as many as the dual has kinks), to 1e-7 by deep-cut ellipsoids for several.
Dual solve_dual(const Table& table, const OnFit& on_fit);

}  // namespace qtool::search
