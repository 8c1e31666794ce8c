// From a run-time element type to a C++ type, and the checks that every operator makes of its
// inputs.
//
//   return with_float(call, x.dtype(), [&](auto zero) { using T = decltype(zero); ... });
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

#include "qtool/ops.hpp"

namespace qtool {

// Throws Error{kModel, QT-E331} "Conv: <parts>" unless `ok`.
template <typename... Parts>
void require(bool ok, const Call& call, const Parts&... parts) {
  if (!ok) throw_model("QT-E331", cat(call.node.type, ": ", parts...));
}

// Throws Unsupported: this operator is not defined, or not run by qtool, for the element type.
[[noreturn]] void unsupported_type(const Call& call, DType type);
// Throws Unsupported "Conv: <parts>" when `refused`.
template <typename... Parts>
void refuse(bool refused, const Call& call, const Parts&... parts) {
  if (refused) throw_unsupported(cat(call.node.type, ": ", parts...));
}

// Elements of input i; throws Error{kModel} when it has another element type.
template <typename T>
std::span<const T> input_data(const Call& call, size_t i) {
  const Tensor& t = call.in(i);
  require(t.dtype() == dtype_of<T>(), call, "input ", i, " is ", dtype_name(t.dtype()),
          ", expected ", dtype_name(dtype_of<T>()));
  return t.data<T>();
}

// Calls fn(T{}) with the C++ type of a whole-number element type of 8 bits or more.
template <typename Fn>
auto with_integer(const Call& call, DType type, Fn&& fn) {
  switch (type) {
    case DType::kInt8:
      return fn(int8_t{});
    case DType::kInt16:
      return fn(int16_t{});
    case DType::kInt32:
      return fn(int32_t{});
    case DType::kInt64:
      return fn(int64_t{});
    case DType::kUint8:
      return fn(uint8_t{});
    case DType::kUint16:
      return fn(uint16_t{});
    case DType::kUint32:
      return fn(uint32_t{});
    case DType::kUint64:
      return fn(uint64_t{});
    default:
      unsupported_type(call, type);
  }
}

// Calls fn(T{}) for float and double; 16-bit floats are dealt with by `half_as_float`.
template <typename Fn>
auto with_float(const Call& call, DType type, Fn&& fn) {
  switch (type) {
    case DType::kFloat:
      return fn(float{});
    case DType::kDouble:
      return fn(double{});
    default:
      unsupported_type(call, type);
  }
}

// Calls fn(T{}) for float, double and the integers.
template <typename Fn>
auto with_number(const Call& call, DType type, Fn&& fn) {
  if (type == DType::kFloat) return fn(float{});
  if (type == DType::kDouble) return fn(double{});
  return with_integer(call, type, fn);
}

// A computed value as an element: whole numbers are cut towards zero and saturated, NaN becomes 0.
template <typename T>
T to_element(double value) {
  if constexpr (std::is_integral_v<T>) {
    if (value != value) return 0;
    // Powers of two, which double holds exactly, unlike the largest 64-bit numbers.
    const double above = std::ldexp(1.0, std::numeric_limits<T>::digits);
    if (value >= above) return std::numeric_limits<T>::max();
    if (value <= (std::is_signed_v<T> ? -above : 0.0)) return std::numeric_limits<T>::lowest();
  }
  return static_cast<T>(value);
}

inline bool is_half(DType type) { return type == DType::kFloat16 || type == DType::kBfloat16; }
inline bool is_real(DType type) {
  return is_half(type) || type == DType::kFloat || type == DType::kDouble;
}

using EvalFunction = std::vector<Tensor> (*)(const Call&);

// Runs `eval` with 16-bit float inputs widened to float; float outputs are rounded back to that
// type.
std::vector<Tensor> eval_half_as_float(const Call& call, EvalFunction eval);
// The same as a function for OpDef::eval.
template <EvalFunction eval>
std::vector<Tensor> half_as_float(const Call& call) {
  return eval_half_as_float(call, eval);
}

}  // namespace qtool
