// The hyperbolic tangent and the logistic function, for kernels that loop over them: a loop of these
// becomes vector code.
#pragma once

#include "exec/floats/odd_rational.hpp"

namespace qtool::floats {

// Coefficients fitted for the least relative error, 2.1e-8.
inline constexpr OddRational<5> kTanh = {
    9.1f,
    {1.33369946e-08f, 2.05963897e-05f, 0.00349481846f, 0.133803785f, 1.f},
    {7.7693460e-07f, 0.000328437513f, 0.025874056f, 0.467136919f, 1.f}};

// T: float, or a vector of them.
template <typename T>
inline __attribute__((always_inline)) void to_tanh(T& x) {
  evaluate(kTanh, x);
}

inline __attribute__((always_inline)) float tanh_of(float x) {
  to_tanh(x);
  return x;
}

inline __attribute__((always_inline)) float sigmoid_of(float x) {
  return 0.5f + 0.5f * tanh_of(0.5f * x);
}

}  // namespace qtool::floats
