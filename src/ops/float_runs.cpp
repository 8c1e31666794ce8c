#include "ops/float_runs.hpp"

#include <cstring>
#include <limits>

#include "ops/lanes.hpp"

namespace qtool {
namespace {

// The sum of element(v) over all v. Loops over arrays, as the compiler converts vectors of its own by halves.
template <typename Element>
QTOOL_INLINE double sum_of_run(const float* x, int64_t count, Element element) {
  constexpr int64_t kWidth = 16;
  double even[kWidth] = {}, odd[kWidth] = {};
  int64_t i = 0;
  for (; i + 2 * kWidth <= count; i += 2 * kWidth) {
    for (int64_t k = 0; k < kWidth; ++k) even[k] += element(static_cast<double>(x[i + k]));
    for (int64_t k = 0; k < kWidth; ++k) odd[k] += element(static_cast<double>(x[i + kWidth + k]));
  }
  double rest = 0;
  for (; i < count; ++i) rest += element(static_cast<double>(x[i]));
  for (int64_t k = 0; k < kWidth; ++k) even[k] += odd[k];
  for (int64_t half = kWidth / 2; half > 0; half /= 2)
    for (int64_t k = 0; k < half; ++k) even[k] += even[k + half];
  return even[0] + rest;
}

QTOOL_INLINE bool any_nan(const float* x, int64_t count) {
  bool nan = false;
  for (int64_t i = 0; i < count; ++i) nan |= x[i] != x[i];
  return nan;
}

// Comparisons know no NaN, but the sum of all elements does; infinities, of which it may be made, too, are told
// apart afterwards.
template <bool largest>
QTOOL_INLINE float extreme_of_run(const float* x, int64_t count) {
  using Limits = std::numeric_limits<float>;
  constexpr int64_t kParts = 2, kWidth = kLanes<float>;
  float extreme = largest ? -Limits::infinity() : Limits::infinity(), sum = 0;
  const auto extend = [](auto& to, const auto& v) QTOOL_ALWAYS {
    if constexpr (largest)
      to = v > to ? v : to;
    else
      to = v < to ? v : to;
  };
  Lanes<float> part[kParts] = {Lanes<float>{} + extreme, Lanes<float>{} + extreme}, sums = {}, v;
  int64_t i = 0;
  for (; i + kParts * kWidth <= count; i += kParts * kWidth) {
    for (int64_t k = 0; k < kParts; ++k) {
      std::memcpy(&v, x + i + k * kWidth, sizeof v);
      extend(part[k], v);
      sums += v;
    }
  }
  extend(part[0], part[1]);
  for (int64_t k = 0; i > 0 && k < kWidth; ++k) {
    extend(extreme, static_cast<const float&>(part[0][k]));
    sum += sums[k];
  }
  for (; i < count; ++i) {
    extend(extreme, x[i]);
    sum += x[i];
  }
  return !(sum - sum == 0) && any_nan(x, count) ? Limits::quiet_NaN() : extreme;
}

}  // namespace

QTOOL_CLONES double sum_of_floats(const float* x, int64_t count) {
  return sum_of_run(x, count, [](double v) QTOOL_ALWAYS { return v; });
}

QTOOL_CLONES double sum_of_magnitudes(const float* x, int64_t count) {
  return sum_of_run(x, count, [](double v) QTOOL_ALWAYS { return v < 0 ? -v : v; });
}

QTOOL_CLONES double sum_of_squares(const float* x, int64_t count) {
  return sum_of_run(x, count, [](double v) QTOOL_ALWAYS { return v * v; });
}

QTOOL_CLONES float largest_float(const float* x, int64_t count) {
  return extreme_of_run<true>(x, count);
}

QTOOL_CLONES float smallest_float(const float* x, int64_t count) {
  return extreme_of_run<false>(x, count);
}

}  // namespace qtool
