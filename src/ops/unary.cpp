// Mathematical functions of one input.
#include "ops/map.hpp"

namespace qtool {
namespace {

constexpr QuantRule kSigned{.kind = QuantKind::kFunction, .reason = "", .lowest = -1, .highest = 1};
constexpr QuantRule kWide{.reason = "its results span too wide a range for 8 bits"};
constexpr QuantRule kSmooth{.kind = QuantKind::kFunction, .reason = ""};

// −x; whole numbers wrap.
template <typename T>
T negate(T x) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(x));
  } else {
    return -x;
  }
}

template <typename T>
T absolute(T x) {
  if constexpr (std::is_integral_v<T>) {
    return x < 0 ? negate(x) : x;
  } else {
    return std::abs(x);
  }
}

template <typename T>
T sign(T x) {
  if (x != x) return x;
  return static_cast<T>((x > 0) - (x < 0));
}

// Float 8 has no arithmetic of its own; such inputs are widened.
Tensor widened(const Tensor& x) { return is_real(x.dtype()) ? x : cast(x, DType::kFloat); }

bool is_float8(DType type) {
  return type == DType::kFloat8E4M3FN || type == DType::kFloat8E4M3FNUZ ||
         type == DType::kFloat8E5M2 || type == DType::kFloat8E5M2FNUZ;
}

Tensor classified_input(const Call& call) {
  const Tensor& x = call.in(0);
  if (!is_real(x.dtype()) && !is_float8(x.dtype())) unsupported_type(call, x.dtype());
  return is_half(x.dtype()) ? cast(x, DType::kFloat) : widened(x);
}

std::vector<Tensor> eval_is_nan(const Call& call) {
  const Tensor x = classified_input(call);
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return map<T, bool>(x, [](T v) { return std::isnan(v); });
  })};
}

std::vector<Tensor> eval_is_inf(const Call& call) {
  const Tensor x = classified_input(call);
  const bool positive = call.integer("detect_positive", 1) != 0;
  const bool negative = call.integer("detect_negative", 1) != 0;
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return map<T, bool>(x, [=](T v) { return std::isinf(v) && (v > 0 ? positive : negative); });
  })};
}

std::vector<Tensor> eval_not(const Call& call) {
  input_data<bool>(call, 0);
  return {map<bool>(call.in(0), [](bool v) { return !v; })};
}

std::vector<Tensor> eval_bitwise_not(const Call& call) {
  const Tensor& x = call.in(0);
  return {with_integer(call, x.dtype(), [&](auto zero) {
    return map<decltype(zero)>(x, [](auto v) { return ~v; });
  })};
}

}  // namespace

extern const OpDef kAbs = number_op<[](auto x) { return absolute(x); }>("Abs", kSmooth);
extern const OpDef kNeg = number_op<[](auto x) { return negate(x); }>("Neg", kSmooth);
extern const OpDef kSign = number_op<[](auto x) { return sign(x); }>("Sign");
extern const OpDef kCeil = float_op<[](auto x) { return std::ceil(x); }>("Ceil");
extern const OpDef kFloor = float_op<[](auto x) { return std::floor(x); }>("Floor");
extern const OpDef kRound = float_op<[](auto x) { return std::nearbyint(x); }>("Round");
extern const OpDef kSqrt = float_op<[](auto x) { return std::sqrt(x); }>("Sqrt", kSmooth);
extern const OpDef kExp = float_op<[](auto x) { return std::exp(x); }>("Exp", kSmooth);
extern const OpDef kLog = float_op<[](auto x) { return std::log(x); }>("Log", kWide);
extern const OpDef kReciprocal = float_op<[](auto x) { return 1 / x; }>("Reciprocal", kWide);
extern const OpDef kErf = float_op<[](auto x) { return std::erf(x); }>("Erf", kSigned);
extern const OpDef kSin = float_op<[](auto x) { return std::sin(x); }>("Sin", kSmooth);
extern const OpDef kCos = float_op<[](auto x) { return std::cos(x); }>("Cos", kSmooth);
extern const OpDef kTan = float_op<[](auto x) { return std::tan(x); }>("Tan", kSmooth);
extern const OpDef kAsin = float_op<[](auto x) { return std::asin(x); }>("Asin", kSmooth);
extern const OpDef kAcos = float_op<[](auto x) { return std::acos(x); }>("Acos", kSmooth);
extern const OpDef kAtan = float_op<[](auto x) { return std::atan(x); }>("Atan", kSmooth);
extern const OpDef kSinh = float_op<[](auto x) { return std::sinh(x); }>("Sinh", kSmooth);
extern const OpDef kCosh = float_op<[](auto x) { return std::cosh(x); }>("Cosh", kSmooth);
extern const OpDef kAsinh = float_op<[](auto x) { return std::asinh(x); }>("Asinh", kSmooth);
extern const OpDef kAcosh = float_op<[](auto x) { return std::acosh(x); }>("Acosh", kSmooth);
extern const OpDef kAtanh = float_op<[](auto x) { return std::atanh(x); }>("Atanh", kSmooth);
extern const OpDef kIsNaN{.type = "IsNaN", .since = 9, .eval = eval_is_nan};
extern const OpDef kIsInf{.type = "IsInf", .since = 10, .eval = eval_is_inf};
extern const OpDef kNot{.type = "Not", .eval = eval_not};
extern const OpDef kBitwiseNot{.type = "BitwiseNot", .since = 18, .eval = eval_bitwise_not};

}  // namespace qtool
