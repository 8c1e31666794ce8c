// A Problem made small and regular: what every solver but the specification works on.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "qtool/search.hpp"

namespace qtool::search {

// Proofs hold to this fraction of the loss above the sum of every group's least loss.
inline constexpr double kTolerance = 1e-12;

// Beyond this, sums and products with prices would overflow: as good as infinite.
inline constexpr double kMaxLoss = 1e200;
inline bool permitted(double loss) { return loss < kMaxLoss; }  // false for NaN too

// Items (permitted, undominated choices) of all groups in one row; item i of group g lies in
// [begin[g], begin[g + 1]). Costs are shifted per group and limit so that the least is 0, losses
// so that the least is 0, and each limit's costs are divided by their greatest common divisor.
// Limits that can never bind are gone.
struct Table {
  int groups = 0;
  int limits = 0;
  std::vector<int> begin;      // groups + 1
  std::vector<int> choice;     // [item]: index in the Problem's group
  std::vector<double> loss;    // [item] ≥ 0
  std::vector<int64_t> cost;   // [item × limits + k] ≥ 0
  std::vector<int64_t> limit;  // [k] ≥ 0
  double loss_offset = 0;      // sum of the losses that the shift took away
  double loss_ceiling = 0;     // sum over groups of the greatest loss

  int items() const { return static_cast<int>(loss.size()); }
  const int64_t* cost_of(int item) const {
    return cost.data() + static_cast<size_t>(item) * limits;
  }
};

// One item per group with its exact totals.
struct Assignment {
  std::vector<int> item;      // [group]
  std::vector<int64_t> cost;  // [k]
  double loss = 0;            // shifted, as in Table
};
Assignment make_assignment(const Table& table, std::vector<int> item);
bool fits(const Table& table, const std::vector<int64_t>& cost);
// Puts group's choice to `item`, keeping the totals.
void flip(const Table& table, Assignment& a, int group, int item);
// The smaller of two sums of losses counts as smaller only beyond rounding.
inline bool clearly_less(double a, double b) { return a < b - kTolerance * b; }

// Throws Error{kInternal} when the arrays do not fit together or a loss is below −1e200, and
// Error{kModel} when sums of costs leave 64 bits.
void check_problem(const Problem& problem);
// nullopt when some group has no permitted choice or one limit alone cannot be held.
std::optional<Table> reduce(const Problem& problem);

// Solutions in the Problem's own numbers. `bound` is shifted as in Table; an optimal solution's
// bound is its loss.
Solution finish(const Problem& problem, const Table& table, const Assignment& a, double bound);
// Loss and costs of `choice`, bound −infinity, status feasible.
Solution describe(const Problem& problem, std::vector<int> choice);
void set_bound(Solution& solution, double bound);
Solution without_choice(const Problem& problem, Solution::Status status);

}  // namespace qtool::search
