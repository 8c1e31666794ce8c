// Mean and spread of a row of floats, in double; for kernels that normalise rows.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace qtool::floats {

struct RowStatistics {
  float mean, factor;  // y = (x − mean) · factor
};

// To be inlined into a function with clones: both give the same bits. Not centered: the mean is taken as 0.
inline __attribute__((always_inline)) RowStatistics row_statistics(const float* x, int64_t length,
                                                                   bool centered, double epsilon) {
  constexpr int64_t kLanes = 8;
  using Lanes = std::array<double, kLanes>;
  const auto total = [](const Lanes& lanes) {
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  };
  const int64_t whole = length / kLanes * kLanes;
  const double count = static_cast<double>(length);
  double mean = 0;
  if (centered) {
    Lanes sums{};
    for (int64_t i = 0; i < whole; i += kLanes)
      for (int64_t k = 0; k < kLanes; ++k) sums[k] += static_cast<double>(x[i + k]);
    for (int64_t i = whole; i < length; ++i) sums[i - whole] += static_cast<double>(x[i]);
    mean = total(sums) / count;
  }
  Lanes squares{};
  const auto square = [mean](float v) {
    const double d = static_cast<double>(v) - mean;
    return d * d;
  };
  for (int64_t i = 0; i < whole; i += kLanes)
    for (int64_t k = 0; k < kLanes; ++k) squares[k] += square(x[i + k]);
  for (int64_t i = whole; i < length; ++i) squares[i - whole] += square(x[i]);
  const double factor = 1 / std::sqrt(total(squares) / count + epsilon);
  return {static_cast<float>(mean), static_cast<float>(factor)};
}

}  // namespace qtool::floats
