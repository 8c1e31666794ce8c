// GPFQ (arXiv 2010.15979): column after column, the code that brings the row's output back to its path, all columns
// before it included: q_t nearest to ⟨x̂_t, u⟩ / ‖x̂_t‖², u = Σ_{i<t} (w_i − q_i) x̂_i + w_t x̂_t. Such products are entries
// of the Gram matrix.
#include "quantize/optimizers/gram_rows.hpp"

namespace qtool {
namespace {

using qdq::RowCodes, qdq::RowsProblem;

// Codes of a row at its scale; its squared error.
double follow_path(const RowsProblem& p, size_t r, std::vector<float>& left, RowCodes& row) {
  const qdq::RowGrid& grid = p.grids[r];
  const std::span<const float> target = p.target(r);
  const size_t n = target.size();
  left.assign(n, 0.f);  // (w − ŵ) H over the columns decided
  std::fill(row.codes.begin(), row.codes.end(), 0.f);
  const auto off = [&](size_t j) { return target[j] - row.codes[j] * grid.scale(j, row.scales); };
  for (size_t j = 0; j < n; ++j) {
    const float* h = p.gram.data() + j * n;
    const float want = target[j] + left[j] / (h[j] + p.ridge);
    row.codes[j] = grid.nearest(want / grid.scale(j, row.scales), grid.range(j, row.codes));
    const float missed = off(j);
    for (size_t i = 0; i < n; ++i) left[i] += missed * h[i];
    left[j] += missed * p.ridge;
  }
  double error = 0;
  for (size_t j = 0; j < n; ++j) error += static_cast<double>(off(j)) * left[j];
  return error;
}

std::vector<RowCodes> follow_paths(const RowsProblem& p) {
  // A vector's columns are decided together.
  if (p.grids[0].dim() > 1) return qdq::nearest_plane(p);
  return qdq::at_best_scales(p, [&](std::vector<RowCodes>& rows) {
    std::vector<double> errors;
    std::vector<float> left;
    for (size_t r = 0; r < rows.size(); ++r) errors.push_back(follow_path(p, r, left, rows[r]));
    return errors;
  });
}

}  // namespace

extern const OptimizerDef kGpfq = {
    .name = "gpfq",
    .summary = "greedy path following, column by column (arXiv 2010.15979)",
    .optimize =
        [](const OptimizerInput& input) {
          return qdq::optimize_rows(input, nullptr, follow_paths);
        },
    .needs_moments = true};

}  // namespace qtool
