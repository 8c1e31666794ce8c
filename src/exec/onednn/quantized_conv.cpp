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
                      const ConvShape& shape, bool turned)
      : name_(implementation(pd)),
        attributes_(std::move(attributes)),
        output_(upright(shape.output, turned)),
        layout_(
            layout_of(upright(pd.dst_desc(), turned), attributes_.parameters().result, output_)),
        bytes_(pd.dst_desc().get_size()),
        source_(request.inputs[0], upright(pd.src_desc(), turned)),
        packed_(reordered(request.constant(kWeights)->raw(),
                          plain_descriptor(DType::kInt8, shape.weights), pd.weights_desc())),
        reads_constants_(request.constant(0) != nullptr) {
    if (request.has(kBias)) bias_ = bias_values(*request.constant(kBias), attributes_.parameters());
    std::vector<Primitive::Argument> arguments{
        {DNNL_ARG_SRC, pd.src_desc()},
        {DNNL_ARG_DST, pd.dst_desc()},
        {DNNL_ARG_WEIGHTS, pd.weights_desc(), packed_.raw()}};
    if (bias_.defined()) arguments.push_back({DNNL_ARG_BIAS, pd.bias_desc(), bias_.raw()});
    attributes_.bind(arguments);
    primitive_.emplace(dnnl::convolution_forward(pd), pd.scratchpad_desc(), std::move(arguments));
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Tensor keep;
    outputs[0] = make_array(attributes_.parameters().result, output_, layout_, bytes_);
    const void* const addresses[] = {source_.address(inputs[0], keep),
                                     outputs[0].tensor.mutable_raw()};
    primitive_->run(addresses);
  }

  std::string name() const override { return name_; }
  bool reads_constants() const override { return reads_constants_; }

 private:
  std::string name_;
  QuantizedAttributes attributes_;
  Shape output_;
  std::shared_ptr<const Layout> layout_;
  size_t bytes_;
  Source source_;
  Tensor packed_, bias_;
  bool reads_constants_;
  std::optional<Primitive> primitive_;
};

}  // namespace

std::unique_ptr<Kernel> make_quantized_conv(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  if (x.shape.size() < 3 || x.shape.size() > 5) return nullptr;
  auto parameters = layer_parameters(request, kResultScale);
  if (!parameters || (request.has(kBias) && !request.constant(kBias))) return nullptr;
  ConvShape shape = conv_shape(request.node, x.shape, request.inputs[kWeights].shape);
  if (!shape.valid()) return nullptr;
  // A picture one element wide is one that is one element high, and kernels block along rows.
  Shape source = x.shape;
  const bool turned = is_column(shape, source);
  if (turned) {
    turn(source);
    turn(shape);
  }
  if (!fits(*parameters, request.constant(kBias), shape.output[1])) return nullptr;
  const bool grouped = shape.weights.size() > x.shape.size();
  const DType result = parameters->result;
  const Descriptor bias = request.has(kBias) ? bias_descriptor(shape.output[1], 1) : Descriptor();
  try {
    QuantizedAttributes attributes(request, std::move(*parameters), grouped ? 3 : 1);
    const auto pd = convolution_descriptor(shape, channels_last(x.dtype, source),
                                           any_descriptor(DType::kInt8, shape.weights), bias,
                                           channels_last(result, shape.output), attributes.attr());
    return std::make_unique<QuantizedConvKernel>(pd, std::move(attributes), request, shape, turned);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
