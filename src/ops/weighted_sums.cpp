#include "ops/weighted_sums.hpp"

#include <algorithm>
#include <cstring>

#include "ops/lanes.hpp"

namespace qtool {
namespace {

// Adds two terms to sums that were begun, or begins them.
template <bool begin, typename T>
QTOOL_INLINE void add_pair(int64_t sums, const int32_t* index, const T* weight, const T* x,
                           T* __restrict y) {
  for (int64_t j = 0; j < sums; ++j) {
    const T w0 = weight[j], w1 = weight[sums + j];
    const T v0 = w0 * x[index[j]], v1 = w1 * x[index[sums + j]];
    const T sum = (begin ? T(0) : y[j]) + (w0 == 0 ? T(0) : v0);
    y[j] = sum + (w1 == 0 ? T(0) : v1);
  }
}

template <typename T>
QTOOL_INLINE void gather(const GatherTable<T>& table, const T* x, ArraySteps steps, T* y) {
  const int64_t pair = 2 * table.sums;
  for (int64_t a = 0; a < steps.arrays; ++a, x += steps.from, y += steps.to) {
    const int32_t* index = table.index.data();
    const T* weight = table.weight.data();
    add_pair<true>(table.sums, index, weight, x, y);
    for (int64_t t = 2; t < table.terms; t += 2)
      add_pair<false>(table.sums, index += pair, weight += pair, x, y);
  }
}

// One position; the last vector may overlap the one before it.
template <typename T>
QTOOL_INLINE void add_rows(const Taps& taps, const T* x, int64_t inner, T* y) {
  const size_t count = taps.index.size();
  for (int64_t i = 0; i < inner; i += kLanes<T>) {
    if (inner >= kLanes<T>) {
      i = std::min(i, inner - kLanes<T>);
      Lanes<T> sum{}, v;
      for (size_t t = 0; t < count; ++t) {
        std::memcpy(&v, x + taps.index[t] * inner + i, sizeof v);
        sum += static_cast<T>(taps.weight[t]) * v;
      }
      std::memcpy(y + i, &sum, sizeof sum);
    } else {
      for (i = 0; i < inner; ++i) {
        T sum = 0;
        for (size_t t = 0; t < count; ++t)
          sum += static_cast<T>(taps.weight[t]) * x[taps.index[t] * inner + i];
        y[i] = sum;
      }
    }
  }
}

template <typename T>
QTOOL_INLINE void walk(std::span<const Taps> positions, const T* x, AxisView view, T* y) {
  for (int64_t o = 0; o < view.outer; ++o, x += view.length * view.inner)
    for (const Taps& taps : positions) {
      add_rows(taps, x, view.inner, y);
      y += view.inner;
    }
}

}  // namespace

QTOOL_CLONES void sum_gathered(const GatherTable<float>& table, const float* x, ArraySteps steps,
                               float* y) {
  gather(table, x, steps, y);
}
QTOOL_CLONES void sum_gathered(const GatherTable<double>& table, const double* x, ArraySteps steps,
                               double* y) {
  gather(table, x, steps, y);
}

QTOOL_CLONES void sum_along_axis(std::span<const Taps> positions, const float* x, AxisView view,
                                 float* y) {
  walk(positions, x, view, y);
}
QTOOL_CLONES void sum_along_axis(std::span<const Taps> positions, const double* x, AxisView view,
                                 double* y) {
  walk(positions, x, view, y);
}

}  // namespace qtool
