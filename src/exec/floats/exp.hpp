// The exponential function of vectors of floats, for kernels that are made of it.
#pragma once

#include "exec/floats/map.hpp"

namespace qtool::floats {

// NaN stays NaN.
inline __attribute__((always_inline)) void limit(Lanes& x, float low, float high) {
  x = x < low ? Lanes{} + low : x;
  x = x > high ? Lanes{} + high : x;
}

// eˣ = s + s · m with s = 2ⁿ and m = eʳ − 1 = r · P(r), |r| ≤ ln 2 / 2, for x in [−87, 87]; coefficients fitted for the
// least relative error of eʳ, 2e-9. Apart, eˣ − 1 loses nothing near 0.
struct Exponential {
  Lanes scale, rest;
};
inline __attribute__((always_inline)) Exponential parts_of_exp(const Lanes& x) {
  constexpr float kRound = 12582912.f;  // 1.5 · 2²³: adding it leaves a whole number
  const Lanes n = (x * 1.44269504f + kRound) - kRound;
  const Lanes r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  Lanes p = Lanes{} + 0.00138368353f;
  p = p * r + 0.00837482419f;
  p = p * r + 0.0416682251f;
  p = p * r + 0.166664198f;
  p = p * r + 0.499999911f;
  p = p * r + 1.f;
  const IntLanes power = (__builtin_convertvector(n, IntLanes) + 127) << 23;
  Exponential e;
  std::memcpy(&e.scale, &power, sizeof power);
  e.rest = p * r;
  return e;
}

inline __attribute__((always_inline)) void to_exp(Lanes& x) {
  const Exponential e = parts_of_exp(x);
  x = (e.rest + 1.f) * e.scale;
}

}  // namespace qtool::floats
