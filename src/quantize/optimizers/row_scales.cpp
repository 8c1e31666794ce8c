#include <cmath>
#include <iterator>
#include <limits>

#include "quantize/optimizers/gram_rows.hpp"

namespace qtool::qdq {
namespace {

// Scales tried, as parts of the one that holds the row's largest weight. Eight bits may need wider
// ones, where neighbours limit each other.
constexpr float kRatios[] = {1.f, 0.92f, 0.84f, 0.76f, 0.68f, 0.6f, 0.52f, 0.44f, 0.36f};
constexpr float kWideRatios[] = {1.f, 0.95f, 0.9f, 0.8f, 1.1f, 1.25f, 1.4f, 1.7f, 2.f};
static_assert(std::size(kRatios) == std::size(kWideRatios));

// For levels of a codebook, as parts of the scale that its fit gives weights of the row's size.
constexpr float kLevelRatios[] = {1.f, 0.94f, 0.88f, 0.82f, 0.76f, 0.68f, 1.07f, 1.15f, 1.25f};
static_assert(std::size(kRatios) == std::size(kLevelRatios));

float root_mean_square(std::span<const float> values) {
  double sum = 0;
  for (float v : values) sum += static_cast<double>(v) * v;
  return static_cast<float>(std::sqrt(sum / static_cast<double>(values.size())));
}

// At least `value`.
float next_power_of_two(float value) {
  return std::exp2(std::ceil(std::log2(std::max(value, 1e-20f))));
}

// One a block of the row.
std::vector<float> full_scales(std::span<const float> target, const RowGrid& grid) {
  if (!grid.fixed_scales.empty()) return {grid.fixed_scales.begin(), grid.fixed_scales.end()};
  if (!grid.places.empty()) return {first_scale(target, grid)};
  std::vector<float> scales;
  const auto block = static_cast<size_t>(grid.block);
  for (size_t b = 0; b < target.size(); b += block)
    scales.push_back(first_scale(target.subspan(b, std::min(block, target.size() - b)), grid));
  return scales;
}

}  // namespace

float first_scale(std::span<const float> target, const RowGrid& grid) {
  float largest = 0;
  for (float w : target) largest = std::max(largest, std::fabs(w));
  float scale = largest / static_cast<float>(std::max(grid.highest, 1));
  if (grid.codebook) scale = root_mean_square(target) * grid.codebook->unit;
  if (grid.power_of_two && grid.places.empty())
    scale = next_power_of_two(scale * (grid.exact_pairs || grid.codebook ? 2.f : 1.f));
  return std::max(scale, 1e-20f);
}

float scale_part(const RowGrid& grid, size_t step) {
  if (step >= std::size(kRatios)) return 0;
  if (grid.power_of_two) return step < 5 ? std::exp2(-static_cast<float>(step)) : 0.f;
  if (grid.codebook) return kLevelRatios[step];
  return grid.exact_pairs ? kWideRatios[step] : kRatios[step];
}

std::vector<RowCodes> at_best_scales(const RowsProblem& problem, const DecideRows& decide) {
  const size_t count = problem.grids.size();
  std::vector<RowCodes> rows(count), best(count);
  std::vector<std::vector<float>> full;
  std::vector<double> least(count, std::numeric_limits<double>::infinity());
  for (size_t r = 0; r < count; ++r) {
    full.push_back(full_scales(problem.target(r), problem.grids[r]));
    rows[r] = {std::vector<float>(problem.columns()), full[r]};
  }
  for (size_t step = 0; step < std::size(kRatios); ++step) {
    for (size_t r = 0; r < count; ++r) {
      const bool fixed = !problem.grids[r].fixed_scales.empty();
      const float part = fixed ? (step == 0 ? 1.f : 0.f) : scale_part(problem.grids[r], step);
      if (part == 0) return best;
      for (size_t b = 0; b < full[r].size(); ++b) rows[r].scales[b] = full[r][b] * part;
    }
    const std::vector<double> errors = decide(rows);
    for (size_t r = 0; r < count; ++r) {
      if (errors[r] >= least[r]) continue;
      least[r] = errors[r];
      best[r] = rows[r];
    }
  }
  return best;
}

}  // namespace qtool::qdq
