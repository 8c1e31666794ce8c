// Operators that treat every element alike: y[i] = fn(x[i]).
#pragma once

#include <cmath>

#include "ops/dispatch.hpp"

namespace qtool {

// y[i] = fn(x[i]) over elements of type T, stored as R.
template <typename T, typename R = T, typename Fn>
Tensor map(const Tensor& x, Fn fn) {
  Tensor y = Tensor::uninitialized(dtype_of<R>(), x.shape());
  const auto in = x.data<T>();
  const auto out = y.mutable_data<R>();
  for (size_t i = 0; i < in.size(); ++i) out[i] = static_cast<R>(fn(in[i]));
  return y;
}

template <auto fn>
std::vector<Tensor> eval_float_map(const Call& call) {
  const Tensor& x = call.in(0);
  return {with_float(call, x.dtype(), [&](auto zero) { return map<decltype(zero)>(x, fn); })};
}

template <auto fn>
std::vector<Tensor> eval_number_map(const Call& call) {
  const Tensor& x = call.in(0);
  return {with_number(call, x.dtype(), [&](auto zero) { return map<decltype(zero)>(x, fn); })};
}

// `make(call, T{})` reads the attributes and returns the function of an element.
template <auto make>
std::vector<Tensor> eval_attribute_map(const Call& call) {
  const Tensor& x = call.in(0);
  return {with_float(call, x.dtype(),
                     [&](auto zero) { return map<decltype(zero)>(x, make(call, zero)); })};
}

// Records of functions on floats, on all numbers, and on floats with attributes.
template <auto fn>
constexpr OpDef float_op(std::string_view type, QuantRule quant = {}) {
  return {.type = type, .eval = half_as_float<eval_float_map<fn>>, .quant = quant};
}
template <auto fn>
constexpr OpDef number_op(std::string_view type, QuantRule quant = {}) {
  return {.type = type, .eval = half_as_float<eval_number_map<fn>>, .quant = quant};
}
template <auto make>
constexpr OpDef attribute_op(std::string_view type, QuantRule quant = {}) {
  return {.type = type, .eval = half_as_float<eval_attribute_map<make>>, .quant = quant};
}

// 1 / (1 + e^-x) without overflow.
template <typename T>
T sigmoid(T x) {
  const T e = std::exp(-std::abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

// log(1 + e^x) without overflow.
template <typename T>
T softplus(T x) {
  return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x)));
}

}  // namespace qtool
