// Transposed convolution: its gradient is the convolution that it transposes.
#include "exec/gradient/vjp.hpp"
#include "exec/onednn/window.hpp"

namespace qtool::gradient {

Gradients conv_transpose(const VjpCall& call) {
  using namespace onednn;
  if (call.wanted[1] || (call.wanted.size() > 2 && call.wanted[2]))
    throw_unsupported(cat(node_text(call.node), ": no gradient of computed weights"));
  const ConvShape s =
      transposed_shape(call.node, call.opset, call.shapes[0], call.inputs[1].shape());
  const auto pd = convolution_descriptor(
      s, any_descriptor(DType::kFloat, call.dy().shape()), any_descriptor(DType::kFloat, s.weights),
      Descriptor(), any_descriptor(DType::kFloat, s.output), user_scratchpad());
  const Tensor packed = reordered(call.inputs[1].raw(), plain_descriptor(DType::kFloat, s.weights),
                                  pd.weights_desc());
  const auto layout = layout_of(pd.dst_desc(), DType::kFloat, s.output);
  Array result = make_array(DType::kFloat, s.output, layout, pd.dst_desc().get_size());
  Tensor keep;
  Arguments arguments{{DNNL_ARG_SRC, in_layout(Array(call.dy()), pd.src_desc(), keep)},
                      {DNNL_ARG_WEIGHTS, memory_of(pd.weights_desc(), packed.raw())},
                      {DNNL_ARG_DST, memory_of(pd.dst_desc(), result.tensor.mutable_raw())}};
  execute(dnnl::convolution_forward(pd), pd.scratchpad_desc(), arguments);
  return {result.plain()};
}

}  // namespace qtool::gradient
