// The kernel of convolutions and of transposed ones: bias, residual and activation fused.
#pragma once

#include <array>

#include "exec/onednn/primitive.hpp"
#include "exec/onednn/window.hpp"

namespace qtool::onednn {

// Inputs: source, weights, bias or none, residual or none. `Forward` is oneDNN's primitive; `turned`: height and
// width have changed places in its descriptors.
template <typename Forward>
class ConvKernel : public Kernel {
 public:
  ConvKernel(const typename Forward::primitive_desc& pd, const KernelRequest& request, Shape output,
             const Descriptor& plain_weights, bool turned = false)
      : name_(implementation(pd)),
        output_(std::move(output)),
        layout_(layout_of(upright(pd.dst_desc(), turned), DType::kFloat, output_)),
        bytes_(pd.dst_desc().get_size()),
        source_(request.inputs[0], upright(pd.src_desc(), turned)),
        reads_constants_(request.constant(0) || request.constant(3)) {
    if (const Tensor* weights = request.constant(1))
      packed_ = reordered(weights->raw(), plain_weights, pd.weights_desc());
    else
      pack_.emplace(plain_weights, pd.weights_desc());
    if (request.has(3)) residual_.emplace(request.inputs[3], upright(pd.dst_desc(), turned));
    std::vector<Primitive::Argument> arguments{
        {DNNL_ARG_SRC, pd.src_desc()},
        {DNNL_ARG_DST, pd.dst_desc()},
        {DNNL_ARG_WEIGHTS, pd.weights_desc(), packed_.defined() ? packed_.raw() : nullptr}};
    if (request.has(2)) {
      has_bias_ = true;
      if (request.constant(2)) bias_ = *request.constant(2);
      arguments.push_back({DNNL_ARG_BIAS, pd.bias_desc(), bias_.defined() ? bias_.raw() : nullptr});
    }
    primitive_.emplace(Forward(pd), pd.scratchpad_desc(), std::move(arguments));
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

}  // namespace qtool::onednn
