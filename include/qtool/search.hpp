// Search layer: chooses one candidate per group so that the summed loss is least and every limit
// holds. Solvers know numbers, not graphs; every result carries a proven lower bound.
//
//   Problem p{.loss = {{0.0, 3.0}, {0.0, 1.0}},           // two groups of two candidates
//             .cost = {{{8, 4}, {8, 4}}},                  // one limit: bits
//             .limit = {12}};
//   Solution s = solve(p);                                 // choice {0, 1}, loss 1, optimal
//   Solution t = solve(p, "branch-and-bound:nodes=1000");
//
// A new solver is one file src/search/solvers/<name>.cpp that defines a SolverDef, and one line in
// src/search/solvers/list.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "qtool/base.hpp"

namespace qtool {

// A multiple-choice knapsack with any number of limits. Costs and limits are exact integers (bits,
// bytes, BOPs) of any sign; a choice whose loss is +infinity, above 1e200 or NaN is forbidden.
struct Problem {
  std::vector<std::vector<double>> loss;                // [group][choice]
  std::vector<std::vector<std::vector<int64_t>>> cost;  // [limit][group][choice]
  std::vector<int64_t> limit;                           // [limit]: sum of costs ≤ limit
  // For solvers that assign by rank: what a group matters whatever its choice; empty: the loss of its
  // first permitted choice.
  std::vector<double> importance = {};
  // For solvers that look: the measured quality of an assignment, 0 to 1; empty: cannot be measured.
  std::function<double(const std::vector<int>&)> quality = {};
  // [group][choice]: the error that the choice makes, as a vector that all groups share; empty: unknown,
  // or a group without. Solvers that know interactions minimise Σ loss + 2 Σ_{g<h} ⟨error_g, error_h⟩.
  std::vector<std::vector<std::vector<float>>> error = {};
};

struct Solution {
  enum Status {
    kOptimal,     // no assignment has a smaller loss (to 1e-12 of the loss above the least)
    kFeasible,    // the limits hold; `bound` and `gap` say how far from the optimum it can be
    kInfeasible,  // proven: no assignment holds all limits; see `smallest`
    kUnknown,     // the work limit ended before an assignment was found or excluded
  };
  Status status = kUnknown;
  std::vector<int> choice;    // [group]; empty when infeasible or unknown
  double loss = 0;            // of `choice`; +infinity when there is none
  double bound = 0;           // proven: no assignment within the limits has a smaller loss
  double gap = 0;             // (loss − bound) / max(|loss|, |bound|), 0 when optimal
  std::vector<int64_t> cost;  // [limit], of `choice`
  // Without a choice, [limit]: the smallest value that this limit's cost reaches while the other
  // limits hold, or, where they cannot hold together, over all permitted choices.
  std::vector<int64_t> smallest;
  int blocked_group = -1;  // infeasible because this group has no permitted choice
  std::string solver;      // name of the solver that ran
  // Other assignments that the solver met on its way, least cost of the first limit first: the
  // frontier of loss and cost. Empty for most solvers.
  std::vector<std::vector<int>> frontier = {};
  bool found() const { return status == kOptimal || status == kFeasible; }
};

// One option of a solver. All are integers: work limits count work, not seconds, so that equal
// inputs give equal plans on every machine.
struct SolverOption {
  std::string_view name;
  int64_t default_value;
  int64_t min;
  int64_t max;
  std::string_view help;
};
using SolverOptions = std::map<std::string, int64_t, std::less<>>;  // every option of the solver

struct SolverDef {
  std::string_view name;
  std::string_view summary;
  std::vector<SolverOption> options;
  int max_limits;  // limits that can bind at once; −1: any number
  Solution (*solve)(const Problem&, const SolverOptions&);
};

// All solvers, sorted by name.
const std::vector<const SolverDef*>& all_solvers();
// The record of a name; nullptr when there is none.
const SolverDef* find_solver(std::string_view name);

// Solves by "NAME" or "NAME:option=value,…"; "auto" takes `dp` for one limit and
// `branch-and-bound` for several (limits that cannot bind are not counted). Throws Error{kUsage}
// (QT-E120…124) for an unknown solver, option or value and for more limits than the solver takes,
// Error{kInternal} when the problem's arrays do not fit together.
Solution solve(const Problem& problem, std::string_view solver = "auto");

}  // namespace qtool
