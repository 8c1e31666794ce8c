// Transposed convolution: its gradient is the convolution that it transposes.
#include <algorithm>

#include "exec/gradient/vjp.hpp"
#include "exec/onednn/window.hpp"

namespace qtool::gradient {
namespace {

// The padding in front, as ONNX "ConvTranspose" works it out of the output's size.
int64_t pad_begin(const VjpCall& call, size_t d, int64_t full, int64_t output) {
  const Node& node = call.node;
  const std::string automatic = attr_string(node, "auto_pad", "NOTSET");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  if (same || find_attribute(node, "output_shape")) {
    const int64_t total = std::max<int64_t>(0, full - output);
    return automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
  }
  const auto pads = attr_ints(node, "pads");
  return automatic == "NOTSET" && d < pads.size() ? pads[d] : 0;
}

onednn::ConvShape forward_shape(const VjpCall& call) {
  using std::vector;
  const Shape &input = call.shapes[0], &output = call.dy().shape(),
              &weights = call.inputs[1].shape();
  const size_t rank = input.size() - 2;
  const vector<int64_t> ones(rank, 1);
  const auto dilations = attr_ints(call.node, "dilations", ones),
             extra = attr_ints(call.node, "output_padding", vector<int64_t>(rank, 0));
  const int64_t groups = attr_int(call.node, "group", 1);
  onednn::ConvShape s;
  s.output = input;
  s.weights = weights;
  if (groups > 1) {
    s.weights[0] /= groups;
    s.weights.insert(s.weights.begin(), groups);
  }
  s.strides = attr_ints(call.node, "strides", ones);
  for (size_t d = 0; d < rank; ++d) {
    const int64_t reach = (weights[d + 2] - 1) * dilations[d] + 1,
                  spread = s.strides[d] * (input[d + 2] - 1) + reach;
    s.dilations.push_back(dilations[d] - 1);
    s.pads_begin.push_back(pad_begin(call, d, spread + extra[d], output[d + 2]));
    s.pads_end.push_back(spread - output[d + 2] - s.pads_begin[d]);
  }
  return s;
}

}  // namespace

Gradients conv_transpose(const VjpCall& call) {
  using namespace onednn;
  if (call.wanted[1] || (call.wanted.size() > 2 && call.wanted[2]))
    throw_unsupported(cat(node_text(call.node), ": no gradient of computed weights"));
  const ConvShape s = forward_shape(call);
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
