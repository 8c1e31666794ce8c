#include "calibrate/sweep.hpp"

#include <algorithm>
#include <cstring>

#include "base/clones.hpp"

namespace qtool::sweep {
namespace {

typedef double Double4 __attribute__((vector_size(32)));
typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef int32_t Int8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));

inline constexpr int64_t kGroup = 8;  // positions that are summed as a tree

template <typename Vector>
inline __attribute__((always_inline)) void load(Vector& v, const float* x) {
  std::memcpy(&v, x, sizeof v);
}

inline __attribute__((always_inline)) double tree(const Double4& low, const Double4& high) {
  const Double4 four = low + high;
  return (four[0] + four[2]) + (four[1] + four[3]);
}

// One channel.
inline __attribute__((always_inline)) void add_row(const float* x, std::span<const Piece> pieces,
                                                   double& sum, double& squares) {
  double s = sum, q = squares;
  for (const Piece& piece : pieces) {
    const float* at = x + piece.begin;
    int64_t i = 0;
    for (; i + kGroup <= piece.count; i += kGroup) {
      Float4 a, b;
      load(a, at + i);
      load(b, at + i + 4);
      const Double4 low = __builtin_convertvector(a, Double4),
                    high = __builtin_convertvector(b, Double4);
      s += piece.weight * tree(low, high);
      q += piece.weight * tree(low * low, high * high);
    }
    for (; i < piece.count; ++i) {
      const double v = at[i];
      s += piece.weight * v;
      q += piece.weight * (v * v);
    }
  }
  sum = s;
  squares = q;
}

// Two vectors of channels; positions lie `stride` apart. Returns whether their sum is no finite number, as it is
// when one of them is none: one addition a vector where asking each costs three.
template <typename Vector>
inline __attribute__((always_inline)) bool column_extremes(const float* x, int64_t positions,
                                                           int64_t stride, float* min, float* max) {
  constexpr auto kLanes = static_cast<int64_t>(sizeof(Vector) / sizeof(float));
  Vector low0, low1, v, w;
  load(low0, x);
  load(low1, x + kLanes);
  Vector high0 = low0, high1 = low1, sum = low0 + low1;
  for (int64_t p = 1; p < positions; ++p) {
    load(v, x + p * stride);
    load(w, x + p * stride + kLanes);
    low0 = v < low0 ? v : low0;
    low1 = w < low1 ? w : low1;
    high0 = v > high0 ? v : high0;
    high1 = w > high1 ? w : high1;
    sum += v + w;
  }
  std::memcpy(min, &low0, sizeof low0);
  std::memcpy(min + kLanes, &low1, sizeof low1);
  std::memcpy(max, &high0, sizeof high0);
  std::memcpy(max + kLanes, &high1, sizeof high1);
  float all = 0;
  for (int64_t lane = 0; lane < kLanes; ++lane) all += sum[lane];
  return !(all - all == 0);
}

inline bool any_nan(const float* x, int64_t count) {
  bool nan = false;
  for (int64_t i = 0; i < count; ++i) nan |= x[i] != x[i];
  return nan;
}

// Eight positions of channels side by side.
inline __attribute__((always_inline)) void add_group(const float* x, int64_t channels,
                                                     double weight, double* sums, double* squares) {
  for (int64_t c = 0; c < channels; ++c) {
    double v[kGroup], w[kGroup];
    for (int64_t k = 0; k < kGroup; ++k) {
      v[k] = x[k * channels + c];
      w[k] = v[k] * v[k];
    }
    sums[c] += weight * (((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])));
    squares[c] += weight * (((w[0] + w[4]) + (w[2] + w[6])) + ((w[1] + w[5]) + (w[3] + w[7])));
  }
}

}  // namespace

QTOOL_CLONES Extremes extremes(const float* x, int64_t count) {
  constexpr int64_t kLanes = 16;
  Extremes e{x[0], x[0], false};
  float all = 0;
  int64_t i = 0;
  if (count >= kLanes) {
    Float16 low, v;
    load(low, x);
    Float16 high = low, sum = low;
    for (i = kLanes; i + kLanes <= count; i += kLanes) {
      load(v, x + i);
      low = v < low ? v : low;
      high = v > high ? v : high;
      sum += v;
    }
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      e.min = low[lane] < e.min ? low[lane] : e.min;
      e.max = high[lane] > e.max ? high[lane] : e.max;
      all += sum[lane];
    }
  }
  for (; i < count; ++i) {
    e.min = x[i] < e.min ? x[i] : e.min;
    e.max = x[i] > e.max ? x[i] : e.max;
    all += x[i];
  }
  e.nan = !(all - all == 0) && any_nan(x, count);
  return e;
}

QTOOL_CLONES bool extremes(const float* x, int64_t positions, int64_t channels, float* min,
                           float* max) {
  int64_t c = 0;
  bool suspect = false;
  for (; c + 32 <= channels; c += 32)
    suspect |= column_extremes<Float16>(x + c, positions, channels, min + c, max + c);
  for (; c + 16 <= channels; c += 16)
    suspect |= column_extremes<Float8>(x + c, positions, channels, min + c, max + c);
  for (; c + 8 <= channels; c += 8)
    suspect |= column_extremes<Float4>(x + c, positions, channels, min + c, max + c);
  for (; c < channels; ++c) {
    min[c] = max[c] = x[c];
    for (int64_t p = 0; p < positions; ++p) {
      const float v = x[p * channels + c];
      min[c] = v < min[c] ? v : min[c];
      max[c] = v > max[c] ? v : max[c];
      suspect |= v != v;
    }
  }
  return suspect && any_nan(x, positions * channels);
}

QTOOL_CLONES void add_moments(const float* x, std::span<const Piece> pieces, int64_t channels,
                              double* sums, double* squares) {
  if (channels == 1) return add_row(x, pieces, *sums, *squares);
  for (const Piece& piece : pieces) {
    int64_t i = 0;
    const float* at = x + piece.begin * channels;
    for (; i + kGroup <= piece.count; i += kGroup, at += kGroup * channels)
      add_group(at, channels, piece.weight, sums, squares);
    for (; i < piece.count; ++i, at += channels) {
      for (int64_t c = 0; c < channels; ++c) {
        const double v = at[c];
        sums[c] += piece.weight * v;
        squares[c] += piece.weight * (v * v);
      }
    }
  }
}

int32_t bin_of(float x, float inverse_width) {
  const float y = x * inverse_width;
  const auto toward_zero = static_cast<int32_t>(y);
  const bool below = y < static_cast<float>(toward_zero) || (x < 0 && y == 0);
  return toward_zero - (below ? 1 : 0);
}

QTOOL_CLONES void bin(const float* x, int64_t count, float inverse_width, int32_t first,
                      uint32_t* table) {
  constexpr int64_t kBlock = 512;  // slots are worked out by vectors, then counted one by one
  constexpr Int8 kLanes = {0, 1, 2, 3, 0, 1, 2, 3};
  int32_t slots[kBlock];
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t n = count - start < kBlock ? count - start : kBlock;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      Float8 v;
      load(v, x + start + i);
      const Float8 y = v * inverse_width;
      Int8 b = __builtin_convertvector(y, Int8);
      b += (y < __builtin_convertvector(b, Float8)) | ((v < 0) & (y == 0));  // a true lane is −1
      b = (b - first) * 4 + kLanes;
      std::memcpy(slots + i, &b, sizeof b);
    }
    for (; i < n; ++i)
      slots[i] = 4 * (bin_of(x[start + i], inverse_width) - first) + static_cast<int32_t>(i & 3);
    for (i = 0; i < n; ++i) ++table[slots[i]];
  }
}

}  // namespace qtool::sweep
