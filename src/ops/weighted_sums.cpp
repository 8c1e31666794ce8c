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

constexpr int64_t kWindow = 8;

QTOOL_INLINE void gather_windows(const GatherTable<float>& table, const float* x, ArraySteps steps,
                                 float* y) {
  typedef float Floats __attribute__((vector_size(4 * kWindow)));
  typedef int32_t Indices __attribute__((vector_size(4 * kWindow)));
  for (int64_t a = 0; a < steps.arrays; ++a, x += steps.from, y += steps.to) {
    for (const auto& [to, from] : table.windows) {
      Floats v, w, sum{};
      Indices index;
      std::memcpy(&v, x + from, sizeof v);
      for (int64_t t = 0; t < table.terms; ++t) {
        std::memcpy(&index, table.index.data() + t * table.sums + to, sizeof index);
        std::memcpy(&w, table.weight.data() + t * table.sums + to, sizeof w);
        const Floats product = w * __builtin_shuffle(v, index - static_cast<int32_t>(from));
        sum += w == 0.f ? Floats{} : product;
      }
      std::memcpy(y + to, &sum, sizeof sum);
    }
  }
}

template <typename T>
QTOOL_INLINE void gather(const GatherTable<T>& table, const T* x, ArraySteps steps, T* y) {
  if constexpr (std::is_same_v<T, float>)
    if (!table.windows.empty()) return gather_windows(table, x, steps, y);
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

template <typename T>
void GatherTable<T>::find_windows(int64_t length) {
  windows.clear();
  if (sums < kWindow || length < kWindow) return;
  for (int64_t at = 0; at < sums; at += kWindow) {
    const int64_t to = std::min(at, sums - kWindow);  // the last may overlap the one before it
    int64_t low = length - kWindow, high = 0;
    for (int64_t t = 0; t < terms; ++t) {
      for (int64_t i = t * sums + to; i < t * sums + to + kWindow; ++i) {
        if (weight[static_cast<size_t>(i)] == 0) continue;
        low = std::min<int64_t>(low, index[static_cast<size_t>(i)]);
        high = std::max<int64_t>(high, index[static_cast<size_t>(i)]);
      }
    }
    if (high - low >= kWindow) return windows.clear();
    windows.push_back({to, low});
  }
}
template struct GatherTable<float>;
template struct GatherTable<double>;

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
