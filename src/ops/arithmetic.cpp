// Arithmetic on two inputs with broadcasting; whole numbers wrap.
#include <cmath>
#include <limits>

#include "ops/elementwise.hpp"

namespace qtool {
namespace {

// An unsigned type at least as wide as T in which arithmetic wraps without promotion to int.
template <typename T>
using Wrapping = std::conditional_t<(sizeof(T) < 8), uint32_t, uint64_t>;

struct Plus {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(Wrapping<T>(a) + Wrapping<T>(b));
    else
      return a + b;
  }
};
struct Minus {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(Wrapping<T>(a) - Wrapping<T>(b));
    else
      return a - b;
  }
};
struct Times {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(Wrapping<T>(a) * Wrapping<T>(b));
    else
      return a * b;
  }
};

template <typename T>
bool has_zero(const Tensor& t) {
  for (T v : t.data<T>()) {
    if (v == 0) return true;
  }
  return false;
}

// True for the one quotient that overflows: lowest / −1.
template <typename T>
bool overflows([[maybe_unused]] T a, [[maybe_unused]] T b) {
  if constexpr (std::is_signed_v<T>) return b == -1 && a == std::numeric_limits<T>::min();
  return false;
}

struct Divide {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (overflows(a, b)) return a;
    }
    return static_cast<T>(a / b);
  }
};

// Remainder with the sign of the divisor.
struct FloorMod {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (overflows(a, b)) return 0;
      const T r = static_cast<T>(a % b);
      return r != 0 && ((r < 0) != (b < 0)) ? static_cast<T>(r + b) : r;
    } else {
      if (std::isinf(b) && std::isfinite(a) && a != 0) return (a < 0) == (b < 0) ? a : b;
      const T r = std::fmod(a, b);
      if (r == 0) return std::copysign(r, b);
      return (r < 0) != (b < 0) ? r + b : r;
    }
  }
};

// Remainder with the sign of the dividend.
struct TruncatedMod {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return overflows(a, b) ? T(0) : static_cast<T>(a % b);
    else
      return std::fmod(a, b);
  }
};

template <typename Fn>
std::vector<Tensor> eval_arithmetic(const Call& call) {
  const auto [a, b] = broadcast_inputs(call);
  require_same_type(call, a, b);
  return {with_number(call, a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return zip<T, T, T>(a, b, Fn{});
  })};
}

// Division and remainder: whole numbers have no quotient by zero.
template <typename Fn>
std::vector<Tensor> eval_division(const Call& call) {
  const auto [a, b] = broadcast_inputs(call);
  require_same_type(call, a, b);
  return {with_number(call, a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    require(!std::is_integral_v<T> || !has_zero<T>(b), call, "division of whole numbers by zero");
    return zip<T, T, T>(a, b, Fn{});
  })};
}

std::vector<Tensor> eval_mod(const Call& call) {
  return call.integer("fmod", 0) ? eval_division<TruncatedMod>(call)
                                 : eval_division<FloorMod>(call);
}

// base^exponent, both whole, wrapping.
template <typename T, typename E>
T integer_power(T base, E exponent) {
  if constexpr (std::is_signed_v<E>) {
    if (exponent < 0) return base == 1 ? T(1) : base == T(-1) ? T(exponent % 2 ? -1 : 1) : T(0);
  }
  T result = 1;
  for (auto e = static_cast<uint64_t>(exponent); e; e >>= 1) {
    if (e & 1) result = Times{}(result, base);
    base = Times{}(base, base);
  }
  return result;
}

template <typename T, typename E>
T power(T base, E exponent) {
  if constexpr (std::is_integral_v<T> && std::is_integral_v<E>) {
    return integer_power(base, exponent);
  } else if constexpr (std::is_same_v<T, E>) {
    return exponent == 2 ? base * base : std::pow(base, exponent);
  } else {
    return to_element<T>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
}

// The result has the type of the base; the exponent may have any, and is widened unless it is the
// same.
std::vector<Tensor> eval_pow(const Call& call) {
  auto [a, b] = broadcast_inputs(call);
  const DType type = a.dtype();
  if (!is_real(b.dtype()) && !is_integer(b.dtype())) unsupported_type(call, b.dtype());
  if (is_half(type)) a = cast(a, DType::kFloat);
  const bool whole = is_integer(b.dtype());
  const bool single =
      a.dtype() == DType::kFloat && (is_half(b.dtype()) || b.dtype() == DType::kFloat);
  b = cast(b, whole ? DType::kInt64 : single ? DType::kFloat : DType::kDouble);
  const Tensor out = with_number(call, a.dtype(), [&](auto base) {
    using T = decltype(base);
    if (whole) return zip<T, int64_t, T>(a, b, power<T, int64_t>);
    if constexpr (std::is_same_v<T, float>) {
      if (single) return zip<T, float, T>(a, b, power<T, float>);
    }
    return zip<T, double, T>(a, b, power<T, double>);
  });
  return {cast(out, type)};
}

constexpr QuantRule kBinaryRule{.kind = QuantKind::kBinary, .reason = ""};
constexpr QuantRule kSumRule{.kind = QuantKind::kBinary, .reason = "", .sum = true};

}  // namespace

extern const OpDef kAdd{
    .type = "Add", .eval = half_as_float<eval_arithmetic<Plus>>, .quant = kSumRule};
extern const OpDef kSub{.type = "Sub", .eval = half_as_float<eval_arithmetic<Minus>>};
extern const OpDef kMul{
    .type = "Mul", .eval = half_as_float<eval_arithmetic<Times>>, .quant = kBinaryRule};
extern const OpDef kDiv{.type = "Div", .eval = half_as_float<eval_division<Divide>>};
extern const OpDef kMod{.type = "Mod", .since = 10, .eval = half_as_float<eval_mod>};
extern const OpDef kPow{.type = "Pow", .eval = eval_pow};

}  // namespace qtool
