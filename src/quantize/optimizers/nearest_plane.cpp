#include <algorithm>
#include <cmath>
#include <limits>

#include "quantize/optimizers/gram_rows.hpp"

namespace qtool::qdq {
namespace {

// 255 · 128 still fits into an int16.
constexpr int kMostPairSum = 128;

// Scales tried, as parts of the one that holds the row's largest weight. Eight bits may need wider
// ones, where neighbours limit each other.
constexpr float kRatios[] = {1.f, 0.92f, 0.84f, 0.76f, 0.68f, 0.6f, 0.52f, 0.44f, 0.36f};
constexpr float kWideRatios[] = {1.f, 0.9f, 1.25f, 1.6f, 2.f};

std::vector<float> full_scales(const RowProblem& p) {
  std::vector<float> scales;
  const auto block = static_cast<size_t>(p.grid.block);
  for (size_t b = 0; b < p.target.size(); b += block) {
    float largest = 0;
    for (float w : p.target.subspan(b, std::min(block, p.target.size() - b)))
      largest = std::max(largest, std::fabs(w));
    scales.push_back(std::max(largest / static_cast<float>(std::max(p.grid.highest, 1)), 1e-20f));
  }
  return scales;
}

// Fills row.codes for row.scales; returns the squared error under the factor.
double decide(const RowProblem& p, RowCodes& row, std::vector<float>& carried) {
  const size_t n = p.target.size();
  std::fill(carried.begin(), carried.end(), 0.f);
  std::fill(row.codes.begin(), row.codes.end(), int8_t{0});
  double error = 0;
  for (size_t j = n; j-- > 0;) {
    const float* l = p.factor.data() + j * n;
    const float scale = row.scales[j / static_cast<size_t>(p.grid.block)];
    const float want = p.target[j] - carried[j] / l[j];
    const auto [lowest, highest] = p.grid.range(j, row.codes);
    const float code = std::clamp(std::nearbyint(want / scale), static_cast<float>(lowest),
                                  static_cast<float>(highest));
    row.codes[j] = static_cast<int8_t>(code);
    const double missed = static_cast<double>(code * scale - want) * l[j];
    error += missed * missed;
    const float off = code * scale - p.target[j];
    for (size_t i = 0; i < j; ++i) carried[i] += off * l[i];
  }
  return error;
}

}  // namespace

std::pair<int, int> RowGrid::range(size_t j, std::span<const int8_t> codes) const {
  int low = lowest, high = highest;
  if (!exact_pairs) return {low, high};
  const auto beside = [&](size_t other) {
    if (other >= codes.size()) return;
    low = std::max(low, -kMostPairSum - std::min<int>(codes[other], 0));
    high = std::min(high, kMostPairSum - std::max<int>(codes[other], 0));
  };
  beside(j ^ 1);
  if (channels % 2 != 0) {
    const auto step = static_cast<size_t>(channels);
    const size_t within = j % step;
    if ((within ^ 1) < step) beside(j - within + (within ^ 1));
  }
  return {low, high};
}

RowCodes nearest_plane(const RowProblem& problem) {
  const std::vector<float> full = full_scales(problem);
  RowCodes row{std::vector<int8_t>(problem.target.size()), full}, best;
  std::vector<float> carried(problem.target.size());
  double least = std::numeric_limits<double>::infinity();
  const std::span<const float> ratios =
      problem.grid.exact_pairs ? std::span<const float>(kWideRatios) : kRatios;
  for (const float ratio : ratios) {
    for (size_t b = 0; b < full.size(); ++b) row.scales[b] = full[b] * ratio;
    const double error = decide(problem, row, carried);
    if (error >= least) continue;
    least = error;
    best = row;
  }
  return best;
}

}  // namespace qtool::qdq
