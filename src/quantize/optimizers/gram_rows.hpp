// The search for codes whose output, not whose weights, is closest: rows share the Gram matrix
// H = E[x̂ x̂ᵀ] of the quantized network's inputs, and aim at w* = w + (w (C − H) + R)(H + λ)⁻¹, which
// also makes up for what the layers before did to those inputs (C = E[x x̂ᵀ]), and to the values that
// are added to this layer's output behind it (R).
#pragma once

#include <span>
#include <vector>

#include "qtool/quantize.hpp"

namespace qtool::qdq {

// One row's grid: codes times the scale of their block.
struct RowGrid {
  int lowest = 0, highest = 0;
  int64_t block = 0;     // columns that share a scale
  int64_t channels = 0;  // columns per kernel position
  bool exact_pairs = false;

  // The codes that column j may take beside its neighbours' (see pair_sums_fit).
  std::pair<int, int> range(size_t j, std::span<const int8_t> codes) const;
};

struct RowCodes {
  std::vector<int8_t> codes;
  std::vector<float> scales;  // one a block
};

// Rows (codes · scale − target) H (…)ᵀ of one group, and what belongs to them.
struct RowsProblem {
  std::span<const float> targets;  // w*, [rows][columns]
  std::span<const float> gram;     // H [columns][columns]
  std::span<const float> factor;   // lower Cholesky factor of H + λ
  float ridge = 0;                 // added to H's diagonal in coordinate descent
  std::vector<RowGrid> grids;      // one a row
  size_t columns() const { return targets.size() / grids.size(); }
  std::span<const float> target(size_t row) const {
    return targets.subspan(row * columns(), columns());
  }
};

// Codes column by column from the last, each making up for the errors of those before it (GPTQ,
// arXiv 2210.17323, in its form as Babai's nearest plane), at the scale of least error, for each row.
std::vector<RowCodes> nearest_plane(const RowsProblem& problem);

// Improves a solution: each code in turn is set to its best value, then each scale; until nothing
// changes, at most `passes` times. The error of no row ever rises.
void coordinate_descent(const RowsProblem& problem, int passes, std::vector<RowCodes>& rows);

using RowsPolish = void (*)(const RowsProblem& problem, std::vector<RowCodes>& rows);
// All rows of a layer by nearest_plane, then `polish` when it is given.
WeightCodes optimize_rows(const OptimizerInput& input, RowsPolish polish);

}  // namespace qtool::qdq
