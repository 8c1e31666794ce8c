// The search for codes whose output, not whose weights, is closest: rows share the Gram matrix
// H = E[x̂ x̂ᵀ] of the quantized network's inputs, and aim at w* = w + (w (C − H) + R)(H + λ)⁻¹, which
// also makes up for what the layers before did to those inputs (C = E[x x̂ᵀ]), and to the values that
// are added to this layer's output behind it (R).
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
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
  const Codebook* codebook = nullptr;  // nullptr: all integers from lowest to highest
  bool power_of_two = false;           // scales
  // One a block, which no row changes by itself; empty: none.
  std::span<const float> fixed_scales = {};
  // Factors of places, of so many columns each, besides the row's one scale; empty: none.
  std::span<const float> places = {};
  int64_t place_columns = 0;

  // The codes that column j may take beside its neighbours' (see pair_sums_fit).
  std::pair<int, int> range(size_t j, std::span<const float> codes) const;
  // The code closest to `value` between them, or the closest level.
  float nearest(float value, std::pair<int, int> range) const {
    return codebook ? codebook->levels[codebook->nearest(value)]
                    : std::clamp(std::nearbyint(value), static_cast<float>(range.first),
                                 static_cast<float>(range.second));
  }
  float place(size_t j) const {
    return places.empty() ? 1.f : places[j / static_cast<size_t>(place_columns)];
  }
  float scale(size_t j, std::span<const float> scales) const {
    return places.empty() ? scales[j / static_cast<size_t>(block)] : scales[0] * place(j);
  }
  // Weights that one code stands for.
  int64_t dim() const { return codebook ? codebook->dim : 1; }
};

struct RowCodes {
  std::vector<float> codes;
  std::vector<float> scales;  // one a block
};

// Levels of a codebook of vectors by component, for loops over the entries of one of its spaces.
class VectorTable {
 public:
  VectorTable(const Codebook& book, size_t space);
  size_t dim() const { return dim_; }
  size_t entries() const { return entries_; }
  const float* component(size_t i) const { return levels_.data() + i * entries_; }

 private:
  size_t dim_, entries_;
  std::vector<float> levels_;
};

// Rows (codes · scale − target) H (…)ᵀ of one group, and what belongs to them.
struct RowsProblem {
  std::span<const float> targets;  // w*, [rows][columns]
  std::span<const float> gram;     // H [columns][columns]
  std::span<const float> factor;   // lower Cholesky factor of H + λ
  float ridge = 0;                 // added to H's diagonal in coordinate descent
  bool quick_scales = false;       // chosen by what errors near each other do
  std::vector<RowGrid> grids;      // one a row
  size_t columns() const { return targets.size() / grids.size(); }
  std::span<const float> target(size_t row) const {
    return targets.subspan(row * columns(), columns());
  }
};

// Fills the rows' codes for their scales and returns each row's squared error.
using DecideRows = std::function<std::vector<double>(std::vector<RowCodes>& rows)>;
// The codes at that scale of a few, row by row, which leaves the least error.
std::vector<RowCodes> at_best_scales(const RowsProblem& problem, const DecideRows& decide);

// Codes column by column from the last, each making up for the errors of those before it (GPTQ,
// arXiv 2210.17323, in its form as Babai's nearest plane), at the scale of least error, for each row.
std::vector<RowCodes> nearest_plane(const RowsProblem& problem);

// Each row's error (ŵ − w*) (H + ridge) (ŵ − w*)ᵀ.
std::vector<double> output_errors(const RowsProblem& problem, const std::vector<RowCodes>& rows);

// The scale that each row's codes want and its weight: with one scale s for some rows, the best is s · Σ gain / Σ curve.
struct ScaleFit {
  double gain = 0, curve = 0;  // ŵ H w*ᵀ, ŵ H ŵᵀ
};
std::vector<ScaleFit> scale_fits(const RowsProblem& problem, const std::vector<RowCodes>& rows);
// A scale that suits the row, the first of those that at_best_scales() tries, and the parts of it that follow;
// 0: there are no more.
float first_scale(std::span<const float> target, const RowGrid& grid);
float scale_part(const RowGrid& grid, size_t step);

// Improves a solution: each code in turn is set to its best value, then each scale; until nothing
// changes, at most `passes` times. The error of no row ever rises.
void coordinate_descent(const RowsProblem& problem, int passes, std::vector<RowCodes>& rows);

// Parameters that rows share, ŵ_rj = s_r · code_rj · p[class of j in r]: the normal equations
// A p = g of Σ_r ‖w*_r − ŵ_r‖²_H over p, summed over rows.
struct SharedFit {
  explicit SharedFit(size_t count) : matrix(count * count, 0), right(count, 0) {}
  std::vector<double> matrix, right;
  void add(const SharedFit& other);
  // The least-squares parameters; `start` where the equations say nothing.
  std::vector<float> solve(std::span<const float> start) const;
};
// Adds a row: `values` = ∂ŵ_j / ∂p[classes[j]].
void add_row(const RowsProblem& problem, size_t row, std::span<const float> values,
             std::span<const uint16_t> classes, SharedFit& fit);

using RowsPolish = void (*)(const RowsProblem& problem, std::vector<RowCodes>& rows);
using RowsStart = std::vector<RowCodes> (*)(const RowsProblem& problem);
// All rows of a layer by `start`, then `polish` when it is given.
WeightCodes optimize_rows(const OptimizerInput& input, RowsPolish polish,
                          RowsStart start = nearest_plane);

}  // namespace qtool::qdq
