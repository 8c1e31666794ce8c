// QLinearConv: u8 or s8 activations, symmetric s8 weights, channels last between layers.
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/quantized.hpp"
#include "exec/onednn/window.hpp"

namespace qtool::onednn {
namespace {

// Inputs: x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, bias.
constexpr size_t kWeights = 3, kResultScale = 6, kBias = 8;

class QuantizedConvKernel : public Kernel {
 public:
  QuantizedConvKernel(const dnnl::convolution_forward::primitive_desc& pd,
                      QuantizedAttributes attributes, const KernelRequest& request,
                      const ConvShape& shape)
      : pd_(pd),
        primitive_(pd),
        attributes_(std::move(attributes)),
        output_(shape.output),
        layout_(layout_of(pd.dst_desc(), attributes_.parameters().result, output_)) {
    packed_ = reordered(request.constant(kWeights)->raw(),
                        plain_descriptor(DType::kInt8, shape.weights), pd_.weights_desc());
    if (request.has(kBias)) bias_ = bias_values(*request.constant(kBias), attributes_.parameters());
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Tensor keep;
    outputs[0] =
        make_array(attributes_.parameters().result, output_, layout_, pd_.dst_desc().get_size());
    Arguments arguments{{DNNL_ARG_SRC, in_layout(inputs[0], pd_.src_desc(), keep)},
                        {DNNL_ARG_WEIGHTS, memory_of(pd_.weights_desc(), packed_.raw())},
                        {DNNL_ARG_DST, memory_of(pd_.dst_desc(), outputs[0].tensor.mutable_raw())}};
    if (bias_.defined()) arguments.insert({DNNL_ARG_BIAS, memory_of(pd_.bias_desc(), bias_.raw())});
    attributes_.bind(arguments);
    execute(primitive_, pd_.scratchpad_desc(), arguments);
  }

  std::string name() const override { return implementation(pd_); }

 private:
  dnnl::convolution_forward::primitive_desc pd_;
  dnnl::convolution_forward primitive_;
  QuantizedAttributes attributes_;
  Shape output_;
  std::shared_ptr<const Layout> layout_;
  Tensor packed_, bias_;
};

}  // namespace

std::unique_ptr<Kernel> make_quantized_conv(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  if (x.shape.size() < 3 || x.shape.size() > 5) return nullptr;
  auto parameters = layer_parameters(request, kResultScale);
  if (!parameters || (request.has(kBias) && !request.constant(kBias))) return nullptr;
  const ConvShape shape = conv_shape(request.node, x.shape, request.inputs[kWeights].shape);
  if (!shape.valid()) return nullptr;
  if (!fits(*parameters, request.constant(kBias), shape.output[1])) return nullptr;
  const bool grouped = shape.weights.size() > x.shape.size();
  const DType result = parameters->result;
  const Descriptor bias = request.has(kBias) ? bias_descriptor(shape.output[1], 1) : Descriptor();
  try {
    QuantizedAttributes attributes(request, std::move(*parameters), grouped ? 3 : 1);
    const auto pd = convolution_descriptor(shape, channels_last(x.dtype, x.shape),
                                           any_descriptor(DType::kInt8, shape.weights), bias,
                                           channels_last(result, shape.output), attributes.attr());
    return std::make_unique<QuantizedConvKernel>(pd, std::move(attributes), request, shape);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
