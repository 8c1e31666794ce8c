// Operators of one input that treat every element alike.
#include <cmath>
#include <numbers>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

// y[i] = fn(x[i]) for the element types that `with_types` admits.
template <typename Fn, typename T>
Tensor map(const Tensor& x, Fn fn, T) {
  Tensor y = Tensor::uninitialized(x.dtype(), x.shape());
  const auto in = x.data<T>();
  const auto out = y.mutable_data<T>();
  for (size_t i = 0; i < in.size(); ++i) out[i] = static_cast<T>(fn(in[i]));
  return y;
}

template <auto fn>
std::vector<Tensor> float_unary(const Call& call) {
  return {with_float(call, call.in(0).dtype(), [&](auto zero) { return map(call.in(0), fn, zero); })};
}

template <auto fn>
std::vector<Tensor> number_unary(const Call& call) {
  return {with_number(call, call.in(0).dtype(), [&](auto zero) { return map(call.in(0), fn, zero); })};
}

// Record of a function on floats.
template <auto fn>
constexpr OpDef float_op(std::string_view type, QuantRule quant = {}) {
  return {.type = type, .eval = half_as_float<float_unary<fn>>, .quant = quant};
}
template <auto fn>
constexpr OpDef number_op(std::string_view type) {
  return {.type = type, .eval = half_as_float<number_unary<fn>>};
}

constexpr QuantRule kSmooth{.reason = "a smooth function without an integer kernel"};
constexpr QuantRule kRange{.kind = QuantKind::kFixedRange, .reason = ""};

template <typename T>
T sigmoid(T x) {
  // exp of a negative number only, so that neither branch overflows.
  const T e = std::exp(-std::abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

template <typename T>
T softplus(T x) {
  return std::max<T>(x, 0) + std::log1p(std::exp(-std::abs(x)));
}

}  // namespace

extern const OpDef kExp = float_op<[](auto x) { return std::exp(x); }>("Exp");
extern const OpDef kSigmoid = float_op<[](auto x) { return sigmoid(x); }>("Sigmoid", kRange);

}  // namespace qtool
