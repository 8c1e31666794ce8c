#include "calibrate/sweep.hpp"

#include <cstring>

#define QTOOL_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))

namespace qtool::sweep {
namespace {

typedef float Float4 __attribute__((vector_size(16)));
typedef double Double4 __attribute__((vector_size(32)));
typedef float Float8 __attribute__((vector_size(32)));
typedef int32_t Int8 __attribute__((vector_size(32)));

}  // namespace

QTOOL_CLONES Run run(const float* x, int64_t count) {
  Float4 low0 = {x[0], x[0], x[0], x[0]}, low1 = low0, high0 = low0, high1 = low0;
  Double4 sum0 = {}, sum1 = {}, squares0 = {}, squares1 = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    Float4 a, b;
    std::memcpy(&a, x + i, sizeof a);
    std::memcpy(&b, x + i + 4, sizeof b);
    low0 = a < low0 ? a : low0;
    low1 = b < low1 ? b : low1;
    high0 = a > high0 ? a : high0;
    high1 = b > high1 ? b : high1;
    const Double4 c = __builtin_convertvector(a, Double4), d = __builtin_convertvector(b, Double4);
    sum0 += c;
    sum1 += d;
    squares0 += c * c;
    squares1 += d * d;
  }
  const Double4 sum = sum0 + sum1, squares = squares0 + squares1;
  low0 = low1 < low0 ? low1 : low0;
  high0 = high1 > high0 ? high1 : high0;
  Run r{low0[0], high0[0], (sum[0] + sum[1]) + (sum[2] + sum[3]),
        (squares[0] + squares[1]) + (squares[2] + squares[3])};
  for (int lane = 1; lane < 4; ++lane) {
    r.min = low0[lane] < r.min ? low0[lane] : r.min;
    r.max = high0[lane] > r.max ? high0[lane] : r.max;
  }
  for (; i < count; ++i) {
    const double v = x[i];
    r.min = x[i] < r.min ? x[i] : r.min;
    r.max = x[i] > r.max ? x[i] : r.max;
    r.sum += v;
    r.sum_squares += v * v;
  }
  return r;
}

QTOOL_CLONES void extremes(const float* x, int64_t count, float& min, float& max) {
  float low = x[0], high = x[0];
  int64_t i = 0;
  if (count >= 8) {
    Float8 lows, highs;
    std::memcpy(&lows, x, sizeof lows);
    highs = lows;
    for (; i + 8 <= count; i += 8) {
      Float8 v;
      std::memcpy(&v, x + i, sizeof v);
      lows = v < lows ? v : lows;
      highs = v > highs ? v : highs;
    }
    for (int lane = 0; lane < 8; ++lane) {
      low = lows[lane] < low ? lows[lane] : low;
      high = highs[lane] > high ? highs[lane] : high;
    }
  }
  for (; i < count; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  min = low;
  max = high;
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
      std::memcpy(&v, x + start + i, sizeof v);
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

QTOOL_CLONES void bin_quarter(const float* x, int64_t count, float inverse_width, int32_t first,
                              uint32_t* table) {
  constexpr int64_t kGroup = 8, kFour = 4 * kGroup;
  constexpr Int8 kLanes = {0, 1, 2, 3, 0, 1, 2, 3};
  int32_t slots[kGroup];
  int64_t i = 0;
  for (int64_t four = 0; i + kFour <= count; i += kFour, ++four) {
    Float8 v;
    std::memcpy(&v, x + i + ((four ^ (four >> 2) ^ (four >> 4)) & 3) * kGroup, sizeof v);
    const Float8 y = v * inverse_width;
    Int8 b = __builtin_convertvector(y, Int8);
    b += (y < __builtin_convertvector(b, Float8)) | ((v < 0) & (y == 0));  // a true lane is −1
    b = (b - first) * 4 + kLanes;
    std::memcpy(slots, &b, sizeof b);
    for (int64_t k = 0; k < kGroup; ++k) table[slots[k]] += 4;
  }
  for (; i < count; ++i)
    ++table[4 * (bin_of(x[i], inverse_width) - first) + static_cast<int32_t>(i & 3)];
}

}  // namespace qtool::sweep
