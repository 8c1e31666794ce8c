// Transposed convolution: its gradient is the convolution that it transposes.
#include "exec/gradient/conv_weights.hpp"
#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {

namespace {

using namespace onednn;

Tensor data_gradient(const VjpCall& call, const ConvShape& s) {
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
  return result.plain();
}

}  // namespace

Gradients conv_transpose(const VjpCall& call) {
  if (call.wanted.size() > 2 && call.wanted[2])
    throw_unsupported(cat(node_text(call.node), ": no gradient of a computed bias"));
  const ConvShape s = transposed_shape(call.node, call.opset, call.shapes[0], call.shapes[1]);
  Gradients found(call.inputs.size());
  if (!s.valid()) {
    for (size_t i = 0; i < 2; ++i)
      if (call.wanted[i]) found[i] = zeros(call.shapes[i]);
    return found;
  }
  if (call.wanted[0]) found[0] = data_gradient(call, s);
  if (call.wanted[1]) {
    const auto backward = call.cache.get<ConvWeightBackward>(
        call.shapes[0], [&] { return ConvWeightBackward(s, call.dy().shape()); });
    found[1] = backward->run(call.dy(), call.inputs[0], call.shapes[1]);
  }
  return found;
}

}  // namespace qtool::gradient
