// Convolution, by oneDNN's backward pass over data.
#include "exec/gradient/vjp.hpp"
#include "exec/onednn/window.hpp"

namespace qtool::gradient {
namespace {

using namespace onednn;
using BackwardData = dnnl::convolution_backward_data;

BackwardData::primitive_desc backward_descriptor(const ConvShape& s, const Shape& input,
                                                 const dnnl::primitive_attr& attr) {
  const Descriptor dx = any_descriptor(DType::kFloat, input),
                   w = any_descriptor(DType::kFloat, s.weights),
                   dy = any_descriptor(DType::kFloat, s.output);
  const auto hint = convolution_descriptor(s, dx, w, Descriptor(), dy, attr);
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(),    algorithm,    dx,         w,    dy,  s.strides,
          s.dilations, s.pads_begin, s.pads_end, hint, attr};
#else
  return {
      BackwardData::desc(algorithm, dx, w, dy, s.strides, s.dilations, s.pads_begin, s.pads_end),
      attr, engine(), hint};
#endif
}

// The primitive for one input shape, with the weights packed when they never change.
struct ConvBackward {
  ConvBackward(const Node& node, const Shape& input, const Tensor& weights)
      : shape(conv_shape(node, input, weights.shape())),
        pd(backward_descriptor(shape, input, user_scratchpad())),
        primitive(pd),
        packed(reordered(weights.raw(), plain_descriptor(DType::kFloat, shape.weights),
                         pd.weights_desc())) {}
  ConvShape shape;
  BackwardData::primitive_desc pd;
  BackwardData primitive;
  Tensor packed;
};

}  // namespace

Gradients conv(const VjpCall& call) {
  const Tensor& weights = call.inputs[1];
  if (call.wanted[1] || (call.wanted.size() > 2 && call.wanted[2]))
    throw_unsupported(cat(node_text(call.node), ": no gradient of computed weights"));
  if (element_count(call.shapes[0]) == 0 || weights.size() == 0) return {zeros(call.shapes[0])};
  const auto backward = call.cache.get<ConvBackward>(
      call.shapes[0], [&] { return ConvBackward(call.node, call.shapes[0], weights); });
  const Descriptor& dx = backward->pd.diff_src_desc();
  const auto layout = layout_of(dx, DType::kFloat, call.shapes[0]);
  Array result = make_array(DType::kFloat, call.shapes[0], layout, dx.get_size());
  Tensor keep;
  Arguments arguments{
      {DNNL_ARG_DIFF_DST, in_layout(Array(call.dy()), backward->pd.diff_dst_desc(), keep)},
      {DNNL_ARG_WEIGHTS, memory_of(backward->pd.weights_desc(), backward->packed.raw())},
      {DNNL_ARG_DIFF_SRC, memory_of(dx, result.tensor.mutable_raw())}};
  execute(backward->primitive, backward->pd.scratchpad_desc(), arguments);
  return {result.plain()};
}

}  // namespace qtool::gradient
