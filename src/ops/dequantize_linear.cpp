// DequantizeLinear: (x − zero_point) · scale.
#include "ops/granularity.hpp"

namespace qtool {
namespace {

constexpr QuantRule kAlready{.reason = "already part of a quantized graph"};

DType output_type(const Call& call) {
  const int64_t wanted = call.opset < 23 ? 0 : call.integer("output_dtype", 0);
  const DType scale = call.in(1).dtype();
  require(wanted == 0 || is_known_dtype(static_cast<int>(wanted)), call, "output_dtype ", wanted,
          " is not known");
  const DType type = wanted == 0 ? scale : static_cast<DType>(wanted);
  if (type != DType::kFloat && !is_half(type)) unsupported_type(call, type);
  if (scale != DType::kFloat && !is_half(scale) && scale != DType::kFloat8E8M0)
    unsupported_type(call, scale);
  return type;
}

// Codes one a element: packed integers unpacked, small floats as their values.
Tensor wide_codes(const Tensor& t) {
  if (!is_integer(t.dtype())) return cast(t, DType::kFloat);
  return dtype_bits(t.dtype()) < 8 ? unpack_bits(t) : t;
}

void check_codes(const Call& call, DType type) {
  const bool integer = is_integer(type) && dtype_bits(type) <= 32 && type != DType::kUint32;
  const bool small = (dtype_bits(type) == 8 || dtype_bits(type) == 4) && type != DType::kBool;
  if (!integer && !small) unsupported_type(call, type);
}

template <typename T>
Tensor dequantize(const Call& call, const Granularity& g, const Tensor& codes) {
  using Difference = std::conditional_t<std::is_integral_v<T>, int64_t, float>;
  const std::vector<float> scales = float_values(call, 1);
  const Tensor zero_points = call.has(2)
                                 ? wide_codes(call.in(2))
                                 : Tensor(dtype_of<T>(), {static_cast<int64_t>(scales.size())});
  const T *x = codes.data<T>().data(), *zero = zero_points.data<T>().data();
  Tensor out = Tensor::uninitialized(DType::kFloat, codes.shape());
  float* y = out.mutable_data<float>().data();
  for_each_scale_run(g, [&](int64_t at, int64_t count, int64_t p, int64_t step) {
    if (step == 0 && count > 0) {
      const float scale = scales[static_cast<size_t>(p)];
      const Difference origin = static_cast<Difference>(zero[p]);
      for (int64_t i = at; i < at + count; ++i)
        y[i] = static_cast<float>(static_cast<Difference>(x[i]) - origin) * scale;
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      const auto difference =
          static_cast<Difference>(x[at + i]) - static_cast<Difference>(zero[p + i]);
      y[at + i] = static_cast<float>(difference) * scales[static_cast<size_t>(p + i)];
    }
  });
  return out;
}

std::vector<Tensor> eval_dequantize(const Call& call) {
  const Tensor& x = call.in(0);
  check_codes(call, x.dtype());
  const DType type = output_type(call);
  const Granularity g = resolve_granularity(call);
  require(!call.has(2) || call.in(2).dtype() == x.dtype(), call,
          "the zero point has another type than the input");
  const Tensor codes = wide_codes(x);
  const Tensor out = with_number(
      call, codes.dtype(), [&](auto zero) { return dequantize<decltype(zero)>(call, g, codes); });
  return {cast(out, type)};
}

}  // namespace

extern const OpDef kDequantizeLinear{
    .type = "DequantizeLinear", .since = 10, .eval = eval_dequantize, .quant = kAlready};

}  // namespace qtool
