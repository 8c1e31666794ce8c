// Convolution in float, with bias, residual and activation fused.
#include "exec/onednn/common.hpp"
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/window.hpp"
#include "qtool/ops.hpp"

namespace qtool::onednn {
namespace {

class ConvKernel : public Kernel {
 public:
  ConvKernel(const dnnl::convolution_forward::primitive_desc& pd, const KernelRequest& request,
             Shape output, Descriptor plain_weights)
      : pd_(pd),
        primitive_(pd),
        output_(std::move(output)),
        plain_weights_(std::move(plain_weights)),
        layout_(layout_of(pd.dst_desc(), DType::kFloat, output_)),
        has_bias_(request.has(2)),
        has_residual_(request.has(3)) {
    if (const Tensor* weights = request.constant(1))
      packed_ = reordered(weights->raw(), plain_weights_, pd_.weights_desc());
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Tensor keep_source, keep_weights = packed_;
    Arguments arguments;
    arguments.insert({DNNL_ARG_SRC, in_layout(inputs[0], pd_.src_desc(), keep_source)});
    if (!keep_weights.defined())
      keep_weights = reordered(inputs[1].plain().raw(), plain_weights_, pd_.weights_desc());
    arguments.insert({DNNL_ARG_WEIGHTS, memory_of(pd_.weights_desc(), keep_weights.raw())});
    if (has_bias_)
      arguments.insert({DNNL_ARG_BIAS, memory_of(pd_.bias_desc(), inputs[2].tensor.raw())});
    outputs[0] = has_residual_
                     ? accumulate_into(inputs[3])
                     : make_array(DType::kFloat, output_, layout_, pd_.dst_desc().get_size());
    arguments.insert({DNNL_ARG_DST, memory_of(pd_.dst_desc(), outputs[0].tensor.mutable_raw())});
    execute(primitive_, pd_.scratchpad_desc(), arguments);
  }

  std::string name() const override { return implementation(pd_); }

 private:
  // The residual in the result's layout, in bytes of its own: the sum is made in place.
  Array accumulate_into(Array& residual) const {
    const Descriptor have = descriptor_of(residual);
    if (have == pd_.dst_desc()) return std::move(residual);
    Tensor bytes = reordered(residual.tensor.raw(), have, pd_.dst_desc());
    if (layout_) return Array(DType::kFloat, output_, std::move(bytes), layout_);
    Tensor plain = Tensor::uninitialized(DType::kFloat, output_);
    std::copy_n(static_cast<const char*>(bytes.raw()), plain.bytes(),
                static_cast<char*>(plain.mutable_raw()));
    return Array(std::move(plain));
  }

  dnnl::convolution_forward::primitive_desc pd_;
  dnnl::convolution_forward primitive_;
  Shape output_;
  Descriptor plain_weights_;
  std::shared_ptr<const Layout> layout_;
  bool has_bias_, has_residual_;
  Tensor packed_;
};

}  // namespace

std::unique_ptr<Kernel> make_conv(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  const InputInfo& w = request.inputs[1];
  if (x.dtype != DType::kFloat || w.dtype != DType::kFloat || w.layout || x.shape.size() < 3 ||
      x.shape.size() > 5)
    return nullptr;
  const ConvShape shape = conv_shape(request.node, x.shape, w.shape);
  if (!shape.valid()) return nullptr;
  if (request.has(2) &&
      (request.inputs[2].dtype != DType::kFloat || request.inputs[2].shape != Shape{w.shape[0]}))
    return nullptr;
  if (request.has(3) && request.inputs[3].shape != shape.output) return nullptr;
  dnnl::primitive_attr attr = user_scratchpad();
  dnnl::post_ops ops;
  if (request.has(3)) ops.append_sum();
  if (!append_activation(ops, request.node)) return nullptr;
  attr.set_post_ops(ops);
  const Descriptor bias =
      request.has(2) ? plain_descriptor(DType::kFloat, {w.shape[0]}) : Descriptor();
  try {
    const auto pd = convolution_descriptor(shape, any_descriptor(DType::kFloat, x.shape),
                                           any_descriptor(DType::kFloat, shape.weights), bias,
                                           any_descriptor(DType::kFloat, shape.output), attr);
    return std::make_unique<ConvKernel>(pd, request, shape.output,
                                        plain_descriptor(DType::kFloat, shape.weights));
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
