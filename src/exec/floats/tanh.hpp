// The hyperbolic tangent and the logistic function, for kernels that loop over them: a loop of these
// becomes vector code.
#pragma once

namespace qtool::floats {

// tanh(x) = x · P(x²) / Q(x²) for |x| ≤ 9.1, and ±1 beyond in single precision; coefficients fitted for the
// least relative error, 2.1e-8. NaN stays NaN. T: float, or a vector of them.
template <typename T>
inline __attribute__((always_inline)) void to_tanh(T& x) {
  const T end = T{} + 9.1f, one = T{} + 1.f;
  T v = x > end ? end : x;
  v = v < -end ? -end : v;
  const T t = v * v;
  T p = T{} + 1.33369946e-08f, q = T{} + 7.7693460e-07f;
  p = p * t + 2.05963897e-05f, q = q * t + 0.000328437513f;
  p = p * t + 0.00349481846f, q = q * t + 0.025874056f;
  p = p * t + 0.133803785f, q = q * t + 0.467136919f;
  p = p * t + 1.f, q = q * t + 1.f;
  v = v * p / q;
  v = v > one ? one : v;
  x = v < -one ? -one : v;
}

inline __attribute__((always_inline)) float tanh_of(float x) {
  to_tanh(x);
  return x;
}

inline __attribute__((always_inline)) float sigmoid_of(float x) {
  return 0.5f + 0.5f * tanh_of(0.5f * x);
}

}  // namespace qtool::floats
