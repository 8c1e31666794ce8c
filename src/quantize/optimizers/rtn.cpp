// Round to nearest, with each row's scale chosen by output error: Σ_j E[x_j²] (w_j − ŵ_j)², which is
// the layer's output error when its inputs are uncorrelated. Below 4 bits the largest weight sets the
// scale, because clipping shrinks all weights of a row together there.
#include <algorithm>
#include <cmath>

#include "qtool/format.hpp"
#include "qtool/passes.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

struct Row {
  std::span<const float> weights;
  std::span<const double> importance;  // one per column; empty: all equal
  int bits;
  int64_t channels;  // columns per kernel position
  bool exact_pairs;
};

void round_row(const Row& row, float scale, std::span<int8_t> codes) {
  const int lo = -(1 << (row.bits - 1)), hi = (1 << (row.bits - 1)) - 1;
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<int8_t>(std::clamp(round_half_even(row.weights[i] / scale),
                                              static_cast<float>(lo), static_cast<float>(hi)));
  }
}

double error_of(const Row& row, float scale, std::span<const int8_t> codes) {
  double error = 0;
  for (size_t i = 0; i < codes.size(); ++i) {
    const double d = row.weights[i] - static_cast<double>(codes[i]) * scale;
    error += (row.importance.empty() ? 1.0 : row.importance[i]) * d * d;
  }
  return error;
}

float quantize_row(const Row& row, std::span<int8_t> best) {
  float largest = 0;
  for (float w : row.weights) largest = std::max(largest, std::fabs(w));
  const int hi = (1 << (row.bits - 1)) - 1;
  const float full = std::max(largest / static_cast<float>(hi), 1e-20f);
  std::vector<int8_t> codes(best.size());
  float scale = full;
  double least = -1;
  const auto consider = [&](float candidate) {
    round_row(row, candidate, codes);
    if (row.exact_pairs && row.bits == 8 && !pair_sums_fit(codes, row.channels)) return;
    const double error = error_of(row, candidate, codes);
    if (least >= 0 && error >= least) return;
    least = error;
    scale = candidate;
    std::copy(codes.begin(), codes.end(), best.begin());
  };
  const int steps = row.bits < 4 ? 0 : 40;
  for (int step = 0; step <= steps; ++step)
    consider(full * (1.f - 0.01f * static_cast<float>(step)));
  // Wider scales until every pair sum fits: at twice the full scale no code exceeds 64.
  for (int step = 1; least < 0; ++step) consider(full * (1.f + 0.01f * static_cast<float>(step)));
  return scale;
}

WeightCodes optimize(const OptimizerInput& input) {
  const std::vector<float> rows = qdq::rows_of(input.weight, input.channel_axis);
  const int64_t count = input.weight.dim(input.channel_axis), columns = input.weight.size() / count;
  const int64_t channels = input.weight.rank() > 2 ? input.weight.dim(1) : columns;
  const auto n = static_cast<size_t>(columns);
  std::vector<int8_t> codes(rows.size());
  WeightCodes result;
  std::vector<double> importance;
  for (int64_t r = 0; r < count; ++r) {
    importance.clear();
    // Inputs of this row's group: channels [group · channels, (group + 1) · channels).
    const int64_t group = r / (count / input.groups);
    for (size_t c = 0; !input.input_mean_square.empty() && c < n; ++c) {
      importance.push_back(input.input_mean_square[static_cast<size_t>(group * channels) +
                                                   c % static_cast<size_t>(channels)]);
    }
    const size_t at = static_cast<size_t>(r) * n;
    const Row row{std::span(rows).subspan(at, n), importance, input.bits, channels,
                  input.exact_pairs};
    result.scales.push_back(quantize_row(row, std::span(codes).subspan(at, n)));
  }
  result.codes = qdq::from_rows(codes, input.weight.shape(), input.channel_axis);
  return result;
}

}  // namespace

extern const OptimizerDef kRtn = {.name = "rtn",
                                  .summary = "round to nearest, scale per channel by output error",
                                  .optimize = optimize};

}  // namespace qtool
