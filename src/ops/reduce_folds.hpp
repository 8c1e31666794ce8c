// What the Reduce family folds elements with.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "ops/float_runs.hpp"

namespace qtool {

// Floats are summed in double, whole numbers wrap in 64 bits.
template <typename T>
using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double,
                                       std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;

// A reduction: where it starts, what an element adds, how two partial results join, what is done
// last; and all of a run of floats.
struct SumFold {
  template <typename A>
  static A start() {
    return 0;
  }
  template <typename A>
  static A join(A a, A b) {
    if constexpr (std::is_integral_v<A>)
      return static_cast<A>(uint64_t(a) + uint64_t(b));
    else
      return a + b;
  }
  template <typename A>
  static A element(A x) {
    return x;
  }
  static double floats(const float* x, int64_t count) { return sum_of_floats(x, count); }
  template <typename A>
  static double finish(A a, int64_t) {
    return static_cast<double>(a);
  }
};
struct L1Fold : SumFold {
  template <typename A>
  static A element(A x) {
    return x < 0 ? -x : x;
  }
  static double floats(const float* x, int64_t count) { return sum_of_magnitudes(x, count); }
};
struct SquareFold : SumFold {
  template <typename A>
  static A element(A x) {
    if constexpr (std::is_integral_v<A>)
      return static_cast<A>(uint64_t(x) * uint64_t(x));
    else
      return x * x;
  }
  static double floats(const float* x, int64_t count) { return sum_of_squares(x, count); }
};
struct L2Fold : SquareFold {
  template <typename A>
  static double finish(A a, int64_t) {
    return std::sqrt(static_cast<double>(a));
  }
};
struct LogSumFold : SumFold {
  template <typename A>
  static double finish(A a, int64_t) {
    return std::log(static_cast<double>(a));
  }
};
struct MeanFold : SumFold {
  template <typename A>
  static double finish(A a, int64_t count) {
    return static_cast<double>(a) / static_cast<double>(count);
  }
};
struct ProductFold : SumFold {
  template <typename A>
  static A start() {
    return 1;
  }
  template <typename A>
  static A join(A a, A b) {
    if constexpr (std::is_integral_v<A>)
      return static_cast<A>(uint64_t(a) * uint64_t(b));
    else
      return a * b;
  }
};
// An empty set has the largest as its minimum and the lowest as its maximum; NaN wins over numbers.
template <bool largest>
struct ExtremeFold : SumFold {
  template <typename A>
  static A start() {
    using Limits = std::numeric_limits<A>;
    if constexpr (std::is_integral_v<A>)
      return largest ? Limits::lowest() : Limits::max();
    else
      return largest ? -Limits::infinity() : Limits::infinity();
  }
  template <typename A>
  static A join(A a, A b) {
    return (largest ? b > a : b < a) || b != b ? b : a;
  }
  static double floats(const float* x, int64_t count) {
    return largest ? largest_float(x, count) : smallest_float(x, count);
  }
};
using MaxFold = ExtremeFold<true>;
using MinFold = ExtremeFold<false>;

// True when the result of the fold is taken as it is, not through `finish`.
template <typename Fold>
constexpr bool kExact = std::is_same_v<Fold, SumFold> || std::is_same_v<Fold, L1Fold> ||
                        std::is_same_v<Fold, SquareFold> || std::is_same_v<Fold, ProductFold> ||
                        std::is_same_v<Fold, MaxFold> || std::is_same_v<Fold, MinFold>;

}  // namespace qtool
