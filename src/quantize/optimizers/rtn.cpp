// Round to nearest, with each row's scale chosen by output error: Σ_j E[x_j²] (w_j − ŵ_j)², which is
// the layer's output error when its inputs are uncorrelated. Below 4 bits the largest weight sets the
// scale, because clipping shrinks all weights of a row together there.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clones.hpp"
#include "qtool/format.hpp"
#include "qtool/passes.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

// Weights that share a scale: a row, a block of one, or all rows.
struct Row {
  std::span<const float> weights;
  std::span<const double> importance;  // one per column; empty: all equal
  int bits;
  int64_t channels;  // columns per kernel position
  size_t length;     // of a row, or of the part of it that is here
  bool exact_pairs;
};

bool pairs_fit(const Row& row, std::span<const int8_t> codes) {
  for (size_t at = 0; at < codes.size(); at += row.length) {
    if (!pair_sums_fit(codes.subspan(at, row.length), row.channels)) return false;
  }
  return true;
}

constexpr size_t kLanes = 8;
constexpr size_t kPart = 512;  // weights between two looks at the error so far

QTOOL_CLONES void round_weights(const float* weights, int8_t* codes, size_t count, float scale,
                                float lo, float hi) {
  for (size_t i = 0; i < count; ++i) {
    float code = std::nearbyint(weights[i] / scale);
    code = code > lo ? code : lo;
    code = code < hi ? code : hi;
    codes[i] = static_cast<int8_t>(static_cast<int32_t>(code));
  }
}

// Adds the errors of at most kPart weights to kLanes sums. `importance` may be nullptr: all equal.
QTOOL_CLONES void add_errors(const float* weights, const int8_t* codes, const double* importance,
                             size_t count, float scale, double* sums) {
  double off[kPart], errors[kPart], lanes[kLanes];
  for (size_t i = 0; i < count; ++i) off[i] = weights[i] - static_cast<double>(codes[i]) * scale;
  if (importance)
    for (size_t i = 0; i < count; ++i) errors[i] = importance[i] * off[i] * off[i];
  else
    for (size_t i = 0; i < count; ++i) errors[i] = off[i] * off[i];
  std::copy_n(sums, kLanes, lanes);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += errors[i + lane];
  for (; i < count; ++i) lanes[0] += errors[i];
  std::copy_n(lanes, kLanes, sums);
}

// Rounds the row and returns its error, or where that reaches `least` some number that does, too.
double round_row(const Row& row, float scale, double least, std::span<int8_t> codes) {
  const auto lo = static_cast<float>(-(1 << (row.bits - 1))),
             hi = static_cast<float>((1 << (row.bits - 1)) - 1);
  double lanes[kLanes] = {}, sum = 0;
  for (size_t at = 0; at < codes.size() && sum < least; at += kPart) {
    const size_t n = std::min(kPart, codes.size() - at);
    const float* weights = row.weights.data() + at;
    round_weights(weights, codes.data() + at, n, scale, lo, hi);
    add_errors(weights, codes.data() + at,
               row.importance.empty() ? nullptr : row.importance.data() + at, n, scale, lanes);
    sum = 0;
    for (double lane : lanes) sum += lane;
  }
  return sum;
}

float quantize_row(const Row& row, std::span<int8_t> best) {
  float largest = 0;
  size_t at = 0;  // of the largest
  for (size_t i = 0; i < row.weights.size(); ++i) {
    if (!(std::fabs(row.weights[i]) > largest)) continue;
    largest = std::fabs(row.weights[i]);
    at = i;
  }
  const int hi = (1 << (row.bits - 1)) - 1;
  const float full = std::max(largest / static_cast<float>(hi), 1e-20f);
  std::vector<int8_t> codes(best.size());
  float scale = full;
  constexpr double kNone = std::numeric_limits<double>::infinity();
  double least = kNone;
  // Whether pair sums still fit as far as was looked.
  const auto consider = [&](float candidate) {
    const double error = round_row(row, candidate, least, codes);
    if (error >= least) return true;
    if (row.exact_pairs && row.bits == 8 && !pairs_fit(row, codes)) return false;
    least = error;
    scale = candidate;
    std::copy(codes.begin(), codes.end(), best.begin());
    return true;
  };
  // What cutting off the largest weight alone costs, which grows as the scale shrinks.
  const double importance = row.importance.empty() ? 1.0 : row.importance[at];
  const auto cut = [&](float candidate) {
    const double off = std::max(0.0, largest - (hi + 1.0) * candidate);
    return importance * off * off;
  };
  const int steps = row.bits < 4 ? 0 : 40;
  for (int step = 0; step <= steps; ++step) {
    const float candidate = full * (1.f - 0.01f * static_cast<float>(step));
    // Codes, and with them pair sums, only grow.
    if (cut(candidate) > least || !consider(candidate)) break;
  }
  // The least of wider scales at which every pair sum fits: at twice the full one no code exceeds 64.
  if (least == kNone) {
    const auto wider = [&](int step) { return full * (1.f + 0.01f * static_cast<float>(step)); };
    int tight = 0, wide = 100;
    while (wide - tight > 1) {
      const int middle = (tight + wide) / 2;
      (consider(wider(middle)) ? wide : tight) = middle;
      least = kNone;
    }
    consider(wider(wide));
  }
  return scale;
}

// Mean square of what each column of a row multiplies; empty when unknown.
std::vector<double> importance_of(const OptimizerInput& input, const qdq::RowLayout& layout,
                                  int64_t row) {
  std::vector<double> importance;
  if (input.input_mean_square.empty()) return importance;
  // Inputs of this row's group: channels [group · channels, (group + 1) · channels).
  const int64_t group = row / std::max<int64_t>(1, layout.rows / input.groups);
  for (int64_t c = 0; c < layout.columns(); ++c) {
    importance.push_back(
        input
            .input_mean_square[static_cast<size_t>(group * layout.channels + c % layout.channels)]);
  }
  return importance;
}

WeightCodes optimize(const OptimizerInput& input) {
  const std::vector<float> rows = qdq::rows_of(input.weight, input.channel_axis);
  const qdq::RowLayout layout = qdq::row_layout(input.weight.shape(), input.channel_axis);
  const auto columns = static_cast<size_t>(layout.columns());
  const int64_t share = input.scale.channels == 0 ? layout.rows : input.scale.channels;
  std::vector<int8_t> codes(rows.size());
  WeightCodes result;
  result.block = input.scale.block;
  result.channels_a_scale = input.scale.channels;
  Row row{{}, {}, input.bits, layout.channels, columns, input.exact_pairs};
  for (int64_t r = 0; r < layout.rows; r += share) {
    const int64_t last = std::min(layout.rows, r + share);
    std::vector<double> importance;
    for (int64_t i = r; i < last; ++i) {
      const std::vector<double> one = importance_of(input, layout, i);
      importance.insert(importance.end(), one.begin(), one.end());
    }
    if (!input.row_bits.empty()) row.bits = input.row_bits[static_cast<size_t>(r)];
    const size_t at = static_cast<size_t>(r) * columns,
                 length = static_cast<size_t>(last - r) * columns;
    const size_t block = input.scale.block > 0 ? static_cast<size_t>(input.scale.block) : length;
    for (size_t c = 0; c < length; c += block) {
      const size_t n = std::min(block, length - c);
      row.weights = std::span(rows).subspan(at + c, n);
      row.importance =
          importance.empty() ? std::span<const double>() : std::span(importance).subspan(c, n);
      row.length = std::min(n, columns);
      result.scales.push_back(quantize_row(row, std::span(codes).subspan(at + c, n)));
    }
    // Rows with one scale all have it.
    result.scales.resize(result.scales.size() + static_cast<size_t>(last - r - 1),
                         result.scales.back());
  }
  result.codes = qdq::from_rows(codes, input.weight.shape(), input.channel_axis);
  return result;
}

}  // namespace

extern const OptimizerDef kRtn = {.name = "rtn",
                                  .summary = "round to nearest, scale per channel by output error",
                                  .optimize = optimize};

}  // namespace qtool
