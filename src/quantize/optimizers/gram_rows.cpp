#include "quantize/optimizers/gram_rows.hpp"

#include <algorithm>

#include "quantize/internal.hpp"
#include "quantize/linear_algebra.hpp"

namespace qtool::qdq {
namespace {

// Parts of H's mean diagonal (docs/quantization.md): of the target's correction and of GPTQ, and of
// coordinate descent, which only needs to stay away from dead columns.
constexpr float kTargetDamping = 0.1f, kDescentDamping = 1e-3f;

float mean_diagonal(const std::vector<float>& h, int64_t k) {
  double sum = 0;
  for (int64_t i = 0; i < k; ++i) sum += h[static_cast<size_t>(i * k + i)];
  return std::max(static_cast<float>(sum / static_cast<double>(k)), 1e-12f);
}

}  // namespace

WeightCodes optimize_rows(const OptimizerInput& input, RowPolish polish) {
  const InputMoments& moments = *input.moments;
  const int64_t k = moments.columns, count = input.weight.dim(input.channel_axis);
  const auto groups = static_cast<int64_t>(moments.groups.size()), each = count / groups;
  const auto columns = static_cast<size_t>(k);
  std::vector<float> rows = rows_of(input.weight, input.channel_axis);
  std::vector<int8_t> codes(rows.size());
  const int64_t block = input.scale_block > 0 ? input.scale_block : k;
  const auto blocks = static_cast<size_t>((k + block - 1) / block);
  std::vector<float> scales(static_cast<size_t>(count) * blocks);
  const auto row_problem = [&](int64_t r, const GroupMoments& m, std::span<const float> factor,
                               float ridge) {
    RowProblem p;
    p.target = std::span(rows).subspan(static_cast<size_t>(r) * columns, columns);
    p.gram = m.h;
    p.factor = factor;
    p.ridge = ridge;
    p.grid.lowest = -(1 << (input.bits - 1));
    p.grid.highest = (1 << (input.bits - 1)) - 1;
    p.grid.block = block;
    p.grid.channels = row_layout(input.weight.shape(), input.channel_axis).channels;
    p.grid.exact_pairs = input.exact_pairs && input.bits == 8;
    return p;
  };
  const auto solve = [&](int64_t r, const RowProblem& problem) {
    RowCodes row = nearest_plane(problem);
    if (polish) polish(problem, row);
    std::copy(row.codes.begin(), row.codes.end(), codes.begin() + r * k);
    std::copy(row.scales.begin(), row.scales.end(),
              scales.begin() + r * static_cast<int64_t>(blocks));
  };
  // Many small groups, or one with many rows: either way the threads have work.
  parallel_for(groups > 1 ? input.threads : 1, groups, [&](int64_t g, int) {
    const GroupMoments& m = moments.groups[static_cast<size_t>(g)];
    const float mean = mean_diagonal(m.h, k);
    const std::vector<float> factor = cholesky(m.h, k, kTargetDamping * mean);
    const auto mine = std::span(rows).subspan(static_cast<size_t>(g * each) * columns,
                                              static_cast<size_t>(each) * columns);
    std::vector<float> correction = multiply_rows(mine, m.shift, k);
    for (size_t i = 0; i < m.residual.size(); ++i) correction[i] += m.residual[i];
    solve_rows(correction, factor, k);
    for (size_t i = 0; i < mine.size(); ++i) mine[i] += correction[i];
    parallel_for(groups > 1 ? 1 : input.threads, each, [&](int64_t i, int) {
      const int64_t r = g * each + i;
      solve(r, row_problem(r, m, factor, kDescentDamping * mean));
    });
  });
  WeightCodes result;
  result.codes = from_rows(codes, input.weight.shape(), input.channel_axis);
  result.scales = std::move(scales);
  result.block = input.scale_block;
  return result;
}

}  // namespace qtool::qdq
