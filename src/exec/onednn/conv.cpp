// Convolution in float, with bias, residual and activation fused.
#include <array>

#include "exec/onednn/kernels.hpp"
#include "exec/onednn/primitive.hpp"
#include "exec/onednn/window.hpp"
#include "qtool/ops.hpp"

namespace qtool::onednn {
namespace {

class ConvKernel : public Kernel {
 public:
  ConvKernel(const dnnl::convolution_forward::primitive_desc& pd, const KernelRequest& request,
             Shape output, const Descriptor& plain_weights)
      : name_(implementation(pd)),
        output_(std::move(output)),
        layout_(layout_of(pd.dst_desc(), DType::kFloat, output_)),
        bytes_(pd.dst_desc().get_size()),
        source_(request.inputs[0], pd.src_desc()),
        reads_constants_(request.constant(0) || request.constant(3)) {
    if (const Tensor* weights = request.constant(1))
      packed_ = reordered(weights->raw(), plain_weights, pd.weights_desc());
    else
      pack_.emplace(plain_weights, pd.weights_desc());
    if (request.has(3)) residual_.emplace(request.inputs[3], pd.dst_desc());
    std::vector<Primitive::Argument> arguments{
        {DNNL_ARG_SRC, pd.src_desc()},
        {DNNL_ARG_DST, pd.dst_desc()},
        {DNNL_ARG_WEIGHTS, pd.weights_desc(), packed_.defined() ? packed_.raw() : nullptr}};
    if (request.has(2)) {
      has_bias_ = true;
      if (request.constant(2)) bias_ = *request.constant(2);
      arguments.push_back({DNNL_ARG_BIAS, pd.bias_desc(), bias_.defined() ? bias_.raw() : nullptr});
    }
    primitive_.emplace(dnnl::convolution_forward(pd), pd.scratchpad_desc(), std::move(arguments));
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Tensor keep_source, keep_weights;
    std::array<const void*, 4> addresses;
    addresses[0] = source_.address(inputs[0], keep_source);
    outputs[0] = residual_ ? accumulate_into(inputs[3])
                           : make_array(DType::kFloat, output_, layout_, bytes_);
    addresses[1] = outputs[0].tensor.mutable_raw();
    size_t count = 2;
    if (pack_) {
      keep_weights = pack_->run(inputs[1].plain().raw());
      addresses[count++] = keep_weights.raw();
    }
    if (has_bias_ && !bias_.defined()) addresses[count++] = inputs[2].tensor.raw();
    primitive_->run(std::span(addresses).first(count));
  }

  std::string name() const override { return name_; }
  bool reads_constants() const override { return reads_constants_; }

 private:
  // The residual in the result's layout, in bytes of its own: the sum is made in place.
  Array accumulate_into(Array& residual) const {
    Tensor bytes;
    if (residual_->address(residual, bytes) == residual.tensor.raw()) return std::move(residual);
    if (layout_) return Array(DType::kFloat, output_, std::move(bytes), layout_);
    Tensor plain = Tensor::uninitialized(DType::kFloat, output_);
    std::copy_n(static_cast<const char*>(bytes.raw()), plain.bytes(),
                static_cast<char*>(plain.mutable_raw()));
    return Array(std::move(plain));
  }

  std::string name_;
  Shape output_;
  std::shared_ptr<const Layout> layout_;
  size_t bytes_;
  Source source_;
  std::optional<Source> residual_;
  std::optional<Reorder> pack_;  // weights that are not constant
  Tensor packed_, bias_;
  bool has_bias_ = false, reads_constants_;
  std::optional<Primitive> primitive_;
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
