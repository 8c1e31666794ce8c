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

constexpr int64_t kRowsATask = 32;

// One group of a layer: targets, factor, and rows that tasks work on.
class Group {
 public:
  Group(const OptimizerInput& input, const GroupMoments& moments, std::span<float> rows, int64_t k)
      : moments_(moments), targets_(rows), k_(k), mean_(mean_diagonal(moments.h, k)) {
    factor_ = cholesky(moments.h, k, kTargetDamping * mean_);
    std::vector<float> correction(rows.size(), 0.f);
    if (!moments.shift.empty()) correction = multiply_rows(rows, moments.shift, k);
    for (size_t i = 0; i < moments.residual.size(); ++i) correction[i] += moments.residual[i];
    solve_rows(correction, factor_, k);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += correction[i];
    grid_.block = input.scale_block > 0 ? input.scale_block : k;
    grid_.channels = row_layout(input.weight.shape(), input.channel_axis).channels;
    grid_.exact_pairs = input.exact_pairs;
  }

  // Rows [first, first + bits.size()) of the group, at these widths.
  std::vector<RowCodes> solve(int64_t first, std::span<const int> bits, RowsPolish polish) const {
    const auto count = static_cast<int64_t>(bits.size());
    RowsProblem p;
    p.targets = targets_.subspan(static_cast<size_t>(first * k_), static_cast<size_t>(count * k_));
    p.gram = moments_.h;
    p.factor = factor_;
    p.ridge = kDescentDamping * mean_;
    for (int width : bits) {
      RowGrid& grid = p.grids.emplace_back(grid_);
      grid.lowest = -(1 << (width - 1));
      grid.highest = (1 << (width - 1)) - 1;
      grid.exact_pairs = grid_.exact_pairs && width == 8;
    }
    std::vector<RowCodes> rows = nearest_plane(p);
    if (polish) polish(p, rows);
    return rows;
  }

 private:
  const GroupMoments& moments_;
  std::span<const float> targets_;
  int64_t k_;
  float mean_;
  std::vector<float> factor_;
  RowGrid grid_;
};

}  // namespace

WeightCodes optimize_rows(const OptimizerInput& input, RowsPolish polish) {
  const InputMoments& moments = *input.moments;
  const int64_t k = moments.columns, count = input.weight.dim(input.channel_axis);
  const auto groups = static_cast<int64_t>(moments.groups.size()), each = count / groups;
  std::vector<float> rows = rows_of(input.weight, input.channel_axis);
  std::vector<int8_t> codes(rows.size());
  const int64_t block = input.scale_block > 0 ? input.scale_block : k,
                blocks = (k + block - 1) / block;
  std::vector<float> scales(static_cast<size_t>(count * blocks));
  std::vector<int> bits(input.row_bits.begin(), input.row_bits.end());
  if (bits.empty()) bits.assign(static_cast<size_t>(count), input.bits);
  // Many small groups, or one with many rows: either way the threads have work.
  parallel_for(groups > 1 ? input.threads : 1, groups, [&](int64_t g, int) {
    const Group group(
        input, moments.groups[static_cast<size_t>(g)],
        std::span(rows).subspan(static_cast<size_t>(g * each * k), static_cast<size_t>(each * k)),
        k);
    const int64_t tasks = (each + kRowsATask - 1) / kRowsATask;
    parallel_for(groups > 1 ? 1 : input.threads, tasks, [&](int64_t task, int) {
      const int64_t first = task * kRowsATask;
      int64_t r = g * each + first;
      const auto widths = std::span(bits).subspan(
          static_cast<size_t>(r), static_cast<size_t>(std::min(kRowsATask, each - first)));
      for (const RowCodes& row : group.solve(first, widths, polish)) {
        std::copy(row.codes.begin(), row.codes.end(), codes.begin() + r * k);
        std::copy(row.scales.begin(), row.scales.end(), scales.begin() + r * blocks);
        ++r;
      }
    });
  });
  WeightCodes result;
  result.codes = from_rows(codes, input.weight.shape(), input.channel_axis);
  result.scales = std::move(scales);
  result.block = input.scale_block;
  return result;
}

}  // namespace qtool::qdq
