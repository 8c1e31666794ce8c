// Conv in one to three dimensions; sums are kept in double.
#include "ops/convolution.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_conv(const Call& call) {
  const Tensor &x = call.in(0), &weight = call.in(1);
  const Convolution c = resolve_convolution(call, x, weight);
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::span<const T> bias;
    if (call.has(2)) {
      bias = input_data<T>(call, 2);
      require(call.in(2).shape() == Shape{c.out_channels}, call, "bias ",
              shape_text(call.in(2).shape()), " for ", c.out_channels, " filters");
    }
    Tensor out = Tensor::uninitialized(x.dtype(), c.shape);
    T* y = out.mutable_data<T>().data();
    convolve<double>(c, x.data<T>().data(), input_data<T>(call, 1).data(),
                     [&](int64_t, int64_t m, std::span<const double> plane) {
                       const double b = bias.empty() ? 0 : bias[static_cast<size_t>(m)];
                       for (double sum : plane) *y++ = static_cast<T>(sum + b);
                     });
    return out;
  })};
}

int64_t conv_macs(const Node&, std::span<const Shape> inputs, std::span<const Shape> outputs) {
  return convolution_macs(inputs, outputs, 1);
}

}  // namespace

extern const OpDef kConv{.type = "Conv",
                         .eval = half_as_float<eval_conv>,
                         .macs = conv_macs,
                         .quant = {.kind = QuantKind::kLinear,
                                   .weight_input = 1,
                                   .bias_input = 2,
                                   .weight_axis = [](const Node&) -> int64_t { return 0; },
                                   .reason = "",
                                   .column_product = true}};

}  // namespace qtool
