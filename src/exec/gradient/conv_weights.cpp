#include "exec/gradient/conv_weights.hpp"

#include <algorithm>

namespace qtool::gradient {

using namespace onednn;

ConvDescriptors::ConvDescriptors(const ConvShape& shape, const Shape& input)
    : x(any_descriptor(DType::kFloat, input)),
      w(any_descriptor(DType::kFloat, shape.weights)),
      y(any_descriptor(DType::kFloat, shape.output)),
      attr(user_scratchpad()),
      hint(convolution_descriptor(shape, x, w, Descriptor(), y, attr)) {}

ConvWeightBackward::ConvWeightBackward(const ConvShape& shape, const Shape& input)
    : weights_(shape.weights),
      pd_(backward_descriptor<dnnl::convolution_backward_weights>(shape,
                                                                  ConvDescriptors(shape, input))),
      primitive_(pd_) {}

Tensor ConvWeightBackward::run(const Tensor& x, const Tensor& dy, const Shape& weight) const {
  const Descriptor& dw = pd_.diff_weights_desc();
  const Descriptor plain = plain_descriptor(DType::kFloat, weights_);
  Tensor result = Tensor::uninitialized(DType::kFloat, weight);
  const bool as_it_is = dw == plain;
  Tensor packed = as_it_is
                      ? Tensor()
                      : Tensor::uninitialized(DType::kUint8, {static_cast<int64_t>(dw.get_size())});
  void* const out = as_it_is ? result.mutable_raw() : packed.mutable_raw();
  Tensor keep_x, keep_dy;
  Arguments arguments{{DNNL_ARG_SRC, in_layout(Array(x), pd_.src_desc(), keep_x)},
                      {DNNL_ARG_DIFF_DST, in_layout(Array(dy), pd_.diff_dst_desc(), keep_dy)},
                      {DNNL_ARG_DIFF_WEIGHTS, memory_of(dw, out)}};
  execute(primitive_, pd_.scratchpad_desc(), arguments);
  if (as_it_is) return result;
  dnnl::memory from = memory_of(dw, out), to = memory_of(plain, result.mutable_raw());
  dnnl::reorder(from, to).execute(stream(), from, to);
  return result;
}

}  // namespace qtool::gradient
