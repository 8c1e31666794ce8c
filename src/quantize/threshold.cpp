// Codes that a published threshold decides (SYQ, arXiv 1807.00301, and its authors' code): signs of what lies beyond it.
#include <algorithm>
#include <cmath>

#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

double root_mean_square(std::span<const float> row) {
  double squares = 0;
  for (float w : row) squares += static_cast<double>(w) * w;
  return std::sqrt(squares / static_cast<double>(row.size()));
}

// The scale s of least error (w - s v) H (w - s v)', H diagonal where no moments are known; 0: v says nothing.
double best_scale(std::span<const float> w, std::span<const float> v,
                  std::span<const float> diagonal, std::span<const float> gram) {
  const size_t n = w.size();
  double gain = 0, curve = 0;
  for (size_t i = 0; i < n; ++i) {
    if (v[i] == 0) continue;
    if (gram.empty()) {
      gain += static_cast<double>(diagonal[i]) * v[i] * w[i];
      curve += static_cast<double>(diagonal[i]) * v[i] * v[i];
      continue;
    }
    const float* h = gram.data() + i * n;
    double with_w = 0, with_v = 0;
    for (size_t j = 0; j < n; ++j) {
      with_w += static_cast<double>(h[j]) * w[j];
      with_v += static_cast<double>(h[j]) * v[j];
    }
    gain += v[i] * with_w;
    curve += v[i] * with_v;
  }
  return curve > 0 && gain > 0 ? gain / curve : 0;
}

}  // namespace

WeightCodes by_threshold(const OptimizerInput& input) {
  const std::vector<float> rows = rows_of(input.weight, input.channel_axis);
  const RowLayout layout = row_layout(input.weight.shape(), input.channel_axis);
  const auto columns = static_cast<size_t>(layout.columns());
  const auto row_at = [&](int64_t r) {
    return std::span(rows).subspan(static_cast<size_t>(r) * columns, columns);
  };
  std::vector<double> sizes;
  double largest = 0;
  for (int64_t r = 0; r < layout.rows; ++r) {
    sizes.push_back(std::max(root_mean_square(row_at(r)), 1e-30));
    for (float w : row_at(r)) largest = std::max(largest, std::fabs(w) / sizes.back());
  }
  const bool binary = input.grid.codebook->entries() == 2;
  const int64_t place_columns = input.grid.place_columns;
  std::vector<float> places;
  if (place_columns > 0) places = place_means(rows, layout.columns(), place_columns);
  const InputMoments* moments = input.moments;
  const int64_t groups = moments ? static_cast<int64_t>(moments->groups.size()) : 1;
  std::vector<float> codes(rows.size()), reals(columns);
  WeightCodes result;
  result.codebook = input.grid.codebook;
  for (int64_t r = 0; r < layout.rows; ++r) {
    const auto row = row_at(r);
    const double bound = input.grid.threshold * largest * sizes[static_cast<size_t>(r)];
    for (size_t j = 0; j < columns; ++j) {
      float& code = codes[static_cast<size_t>(r) * columns + j];
      code = !binary && !(std::fabs(row[j]) > bound) ? 0.f : row[j] < 0 ? -1.f : 1.f;
      reals[j] = code * (places.empty() ? 1.f : places[j / static_cast<size_t>(place_columns)]);
    }
    const auto gram = moments
                          ? std::span<const float>(
                                moments->groups[static_cast<size_t>(r * groups / layout.rows)].h)
                          : std::span<const float>();
    const auto scale =
        static_cast<float>(best_scale(row, reals, column_importance(input, layout, r), gram));
    result.scales.push_back(std::isnormal(scale) ? scale : 1e-20f);
  }
  result.codes = from_rows(codes, input.weight.shape(), input.channel_axis, DType::kInt8);
  if (!places.empty()) multiply_scales(result, places, place_columns);
  return result;
}

}  // namespace qtool::qdq
