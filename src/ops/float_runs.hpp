// Sums and extremes of runs of floats, by vectors.
#pragma once

#include <cstdint>

namespace qtool {

// In double, in an order that depends on `count` alone.
double sum_of_floats(const float* x, int64_t count);
double sum_of_magnitudes(const float* x, int64_t count);
double sum_of_squares(const float* x, int64_t count);

// NaN when there is one; −∞ and ∞ of no elements.
float largest_float(const float* x, int64_t count);
float smallest_float(const float* x, int64_t count);

}  // namespace qtool
