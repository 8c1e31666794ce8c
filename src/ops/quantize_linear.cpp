// QuantizeLinear: saturate(round half to even(x / scale) + zero_point).
#include <algorithm>
#include <cmath>

#include "ops/granularity.hpp"

namespace qtool {
namespace {

DType output_type(const Call& call) {
  if (call.has(2)) return call.in(2).dtype();
  const int64_t wanted = call.opset < 21 ? 0 : call.integer("output_dtype", 0);
  require(wanted == 0 || is_known_dtype(static_cast<int>(wanted)), call, "output_dtype ", wanted,
          " is not known");
  return wanted == 0 ? DType::kUint8 : static_cast<DType>(wanted);
}

// The type whose precision the quotient has.
DType quotient_type(const Call& call) {
  const int64_t wanted = call.opset < 23 ? 0 : call.integer("precision", 0);
  const DType scale = call.in(1).dtype();
  const bool exact = scale == DType::kFloat || scale == DType::kFloat8E8M0 || is_half(scale);
  if (!exact) unsupported_type(call, scale);
  const DType type = wanted != 0      ? static_cast<DType>(wanted)
                     : is_half(scale) ? scale
                                      : DType::kFloat;
  refuse(type != DType::kFloat && !is_half(type), call, "precision ", wanted, " is not supported");
  return type;
}

// x / scale, rounded to the wanted precision.
Tensor quotients(const Call& call, const Granularity& g) {
  const DType type = call.in(0).dtype();
  if (type != DType::kFloat && !is_half(type) && type != DType::kInt32)
    unsupported_type(call, type);
  const Tensor wide = cast(call.in(0), DType::kFloat);
  const std::vector<float> scales = float_values(call, 1);
  const float* x = wide.data<float>().data();
  Tensor out = Tensor::uninitialized(DType::kFloat, wide.shape());
  float* y = out.mutable_data<float>().data();
  for_each_scale_run(g, [&](int64_t at, int64_t count, int64_t p, int64_t step) {
    for (int64_t i = 0; i < count; ++i)
      y[at + i] = x[at + i] / scales[static_cast<size_t>(p + i * step)];
  });
  const DType precision = quotient_type(call);
  return precision == DType::kFloat ? out : cast(cast(out, precision), DType::kFloat);
}

// Integer codes, one byte or two an element, limited to `bits`.
template <typename T>
Tensor integer_codes(const Call& call, const Granularity& g, const Tensor& ratio, int bits) {
  const float low = std::is_signed_v<T> ? -std::ldexp(1.f, bits - 1) : 0.f;
  const float high = std::ldexp(1.f, std::is_signed_v<T> ? bits - 1 : bits) - 1;
  std::vector<float> zero(static_cast<size_t>(call.in(1).size()), 0.f);
  if (call.has(2)) zero = float_values(call, 2);
  Tensor out = Tensor::uninitialized(dtype_of<T>(), ratio.shape());
  const float* x = ratio.data<float>().data();
  T* y = out.mutable_data<T>().data();
  for_each_scale_run(g, [&](int64_t at, int64_t count, int64_t p, int64_t step) {
    for (int64_t i = 0; i < count; ++i) {
      const float code = std::nearbyint(x[at + i]) + zero[static_cast<size_t>(p + i * step)];
      // NaN, which no code stands for, becomes the lowest one.
      y[at + i] = static_cast<T>(code > low ? std::min(code, high) : low);
    }
  });
  return out;
}

// Small floats are rounded by their own conversion.
Tensor float_codes(const Call& call, const Granularity& g, Tensor ratio, DType type) {
  if (call.has(2)) {
    const std::vector<float> zero = float_values(call, 2);
    float* x = ratio.mutable_data<float>().data();
    for_each_scale_run(g, [&](int64_t at, int64_t count, int64_t p, int64_t step) {
      for (int64_t i = 0; i < count; ++i) x[at + i] += zero[static_cast<size_t>(p + i * step)];
    });
  }
  return cast(ratio, type, call.integer("saturate", 1) != 0);
}

std::vector<Tensor> eval_quantize(const Call& call) {
  const Granularity g = resolve_granularity(call);
  const DType type = output_type(call);
  const Tensor ratio = quotients(call, g);
  const int bits = dtype_bits(type);
  switch (type) {
    case DType::kInt8:
      return {integer_codes<int8_t>(call, g, ratio, bits)};
    case DType::kUint8:
      return {integer_codes<uint8_t>(call, g, ratio, bits)};
    case DType::kInt16:
      return {integer_codes<int16_t>(call, g, ratio, bits)};
    case DType::kUint16:
      return {integer_codes<uint16_t>(call, g, ratio, bits)};
    case DType::kInt4:
    case DType::kInt2:
      return {pack_bits(integer_codes<int8_t>(call, g, ratio, bits), type)};
    case DType::kUint4:
    case DType::kUint2:
      return {pack_bits(integer_codes<uint8_t>(call, g, ratio, bits), type)};
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat4E2M1:
      return {float_codes(call, g, ratio, type)};
    default:
      unsupported_type(call, type);
  }
}

}  // namespace

extern const OpDef kQuantizeLinear{.type = "QuantizeLinear",
                                   .since = 10,
                                   .eval = eval_quantize,
                                   .quant = {.reason = "already part of a quantized graph"}};

}  // namespace qtool
