// The gradient of a convolution's weights, by oneDNN.
#pragma once

#include "exec/onednn/window.hpp"

namespace qtool::gradient {

// For inputs of one shape; its members may be called from several threads at once.
class ConvWeightBackward {
 public:
  ConvWeightBackward(const onednn::ConvShape& shape, const Shape& input);
  // `dy`: the gradient of the convolution's result; `weight`: the shape to return.
  Tensor run(const Tensor& x, const Tensor& dy, const Shape& weight) const;

 private:
  Shape weights_;  // as oneDNN counts them
  dnnl::convolution_backward_weights::primitive_desc pd_;
  dnnl::convolution_backward_weights primitive_;
};

// Descriptors of one input shape; layouts are left to the primitives.
struct ConvDescriptors {
  ConvDescriptors(const onednn::ConvShape& shape, const Shape& input);
  onednn::Descriptor x, w, y;
  dnnl::primitive_attr attr;
  dnnl::convolution_forward::primitive_desc hint;
};

// Of a backward pass over data or over weights.
template <typename Primitive>
typename Primitive::primitive_desc backward_descriptor(const onednn::ConvShape& s,
                                                       const ConvDescriptors& d) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {onednn::engine(), algorithm,    d.x,        d.w,    d.y,   s.strides,
          s.dilations,      s.pads_begin, s.pads_end, d.hint, d.attr};
#else
  return {typename Primitive::desc(algorithm, d.x, d.w, d.y, s.strides, s.dilations, s.pads_begin,
                                   s.pads_end),
          d.attr, onednn::engine(), d.hint};
#endif
}

}  // namespace qtool::gradient
