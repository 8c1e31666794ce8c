// ConvInteger and QLinearConv: convolutions of 8-bit codes, summed in int32. Padding is the zero
// point.
#include "ops/convolution.hpp"
#include "ops/integer_codes.hpp"

namespace qtool {
namespace {

constexpr QuantRule kAlready{.reason = "already part of a quantized graph"};

std::vector<Tensor> eval_conv_integer(const Call& call) {
  const Convolution c = resolve_convolution(call, call.in(0), call.in(1));
  require(!call.has(2) || call.in(2).size() == 1, call, "the input's zero point must be a scalar");
  const auto x = centered_codes(call, 0, 2, -1), w = centered_codes(call, 1, 3, -call.in(1).rank());
  Tensor out = Tensor::uninitialized(DType::kInt32, c.shape);
  int32_t* y = out.mutable_data<int32_t>().data();
  convolve<int32_t>(c, x.data(), w.data(), [&](int64_t, int64_t, std::span<const int32_t> plane) {
    y = std::ranges::copy(plane, y).out;
  });
  return {out};
}

// Inputs: x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, bias.
std::vector<Tensor> eval_qlinear_conv(const Call& call) {
  const Convolution c = resolve_convolution(call, call.in(0), call.in(3));
  require(call.in(2).size() == 1, call, "the input's zero point must be a scalar");
  const auto x = centered_codes(call, 0, 2, -1), w = centered_codes(call, 3, 5, -call.in(3).rank());
  const float x_scale = scales(call, 1, 1)[0], y_scale = scales(call, 6, 1)[0];
  const auto w_scale = scales(call, 4, c.out_channels);
  std::span<const int32_t> bias;
  if (call.has(8)) {
    bias = input_data<int32_t>(call, 8);
    require(call.in(8).shape() == Shape{c.out_channels}, call, "bias ",
            shape_text(call.in(8).shape()), " for ", c.out_channels, " filters");
  }
  return {with_code_type(call, 7, [&](auto code) {
    using T = decltype(code);
    const float zero = call.in(7).data<T>()[0];
    Tensor out = Tensor::uninitialized(dtype_of<T>(), c.shape);
    T* y = out.mutable_data<T>().data();
    convolve<int32_t>(c, x.data(), w.data(),
                      [&](int64_t, int64_t m, std::span<const int32_t> plane) {
                        const auto channel = static_cast<size_t>(m);
                        const float factor = x_scale * w_scale[channel] / y_scale;
                        const int32_t b = bias.empty() ? 0 : bias[channel];
                        for (int32_t sum : plane) *y++ = requantize<T>(sum + b, factor, zero);
                      });
    return out;
  })};
}

int64_t conv_integer_macs(const Node&, std::span<const Shape> inputs,
                          std::span<const Shape> outputs) {
  return convolution_macs(inputs, outputs, 1);
}
int64_t qlinear_conv_macs(const Node&, std::span<const Shape> inputs,
                          std::span<const Shape> outputs) {
  return convolution_macs(inputs, outputs, 3);
}

}  // namespace

extern const OpDef kConvInteger{.type = "ConvInteger",
                                .since = 10,
                                .eval = eval_conv_integer,
                                .macs = conv_integer_macs,
                                .quant = kAlready};
extern const OpDef kQLinearConv{.type = "QLinearConv",
                                .since = 10,
                                .eval = eval_qlinear_conv,
                                .macs = qlinear_conv_macs,
                                .quant = kAlready};

}  // namespace qtool
