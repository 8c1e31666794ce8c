// Odd functions that rise from −1 to 1, as x · P(x²) / Q(x²).
#pragma once

#include <array>
#include <cstddef>

namespace qtool::floats {

// Coefficients, that of the highest power first; beyond ±end the function is ±1 in single precision.
template <size_t count>
struct OddRational {
  float end;
  std::array<float, count> p, q;
};

// T: float, or a vector of them. NaN stays NaN.
template <size_t count, typename T>
inline __attribute__((always_inline)) void evaluate(const OddRational<count>& f, T& x) {
  const T end = T{} + f.end, one = T{} + 1.f;
  T v = x > end ? end : x;
  v = v < -end ? -end : v;
  const T t = v * v;
  T p = T{} + f.p[0], q = T{} + f.q[0];
  for (size_t k = 1; k < count; ++k) p = p * t + f.p[k], q = q * t + f.q[k];
  v = v * p / q;
  v = v > one ? one : v;
  x = v < -one ? -one : v;
}

}  // namespace qtool::floats
