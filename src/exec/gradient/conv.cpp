// Convolution, by oneDNN's backward passes over data and over weights.
#include "exec/gradient/conv_weights.hpp"
#include "exec/gradient/depthwise.hpp"
#include "exec/gradient/pointwise.hpp"
#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

using namespace onednn;
using BackwardData = dnnl::convolution_backward_data;

// The primitives for one input shape, and weights as they are packed for them.
struct ConvBackward {
  explicit ConvBackward(const VjpCall& call)
      : shape(conv_shape(call.node, call.shapes[0], call.shapes[1])) {
    if (call.wanted[0]) {
      data_pd = backward_descriptor<BackwardData>(shape, ConvDescriptors(shape, call.shapes[0]));
      data = BackwardData(data_pd);
      first = call.inputs[1];
      first_packed = pack(first);
    }
    if (call.wanted[1] && !is_depthwise(shape, call.shapes[0]))
      weights.emplace(shape, call.shapes[0]);
  }
  Tensor pack(const Tensor& plain) const {
    return reordered(plain.raw(), plain_descriptor(DType::kFloat, shape.weights),
                     data_pd.weights_desc());
  }
  Tensor packed(const Tensor& plain) const {
    return plain.shares_bytes_with(first) ? first_packed : pack(plain);
  }

  ConvShape shape;
  BackwardData::primitive_desc data_pd;
  BackwardData data;
  std::optional<ConvWeightBackward> weights;
  Tensor first, first_packed;  // weights that never change are packed once
};

Tensor data_gradient(const VjpCall& call, const ConvBackward& backward) {
  const auto& pd = backward.data_pd;
  const Descriptor& dx = pd.diff_src_desc();
  const auto layout = layout_of(dx, DType::kFloat, call.shapes[0]);
  Array result = make_array(DType::kFloat, call.shapes[0], layout, dx.get_size());
  const Tensor packed = backward.packed(call.inputs[1]);
  Tensor keep;
  Arguments arguments{{DNNL_ARG_DIFF_DST, in_layout(Array(call.dy()), pd.diff_dst_desc(), keep)},
                      {DNNL_ARG_WEIGHTS, memory_of(pd.weights_desc(), packed.raw())},
                      {DNNL_ARG_DIFF_SRC, memory_of(dx, result.tensor.mutable_raw())}};
  execute(backward.data, pd.scratchpad_desc(), arguments);
  return result.plain();
}

Tensor weight_gradient(const VjpCall& call, const ConvBackward& backward) {
  const Tensor& x = call.inputs[0];
  return backward.weights ? backward.weights->run(x, call.dy(), call.shapes[1])
                          : depthwise_weight_gradient(backward.shape, x, call.dy(), call.shapes[1]);
}

// Σ over samples and positions of dy, by channel.
Tensor bias_gradient(const Tensor& dy) {
  const int64_t channels = dy.dim(1), each = dy.size() / std::max<int64_t>(1, dy.dim(0) * channels);
  std::vector<double> sums(static_cast<size_t>(channels), 0.0);
  const float* d = dy.data<float>().data();
  for (int64_t row = 0; row < dy.dim(0) * channels; ++row) {
    for (int64_t i = 0; i < each; ++i) sums[static_cast<size_t>(row % channels)] += *d++;
  }
  Tensor result = zeros({channels});
  for (int64_t c = 0; c < channels; ++c)
    result.mutable_data<float>()[static_cast<size_t>(c)] =
        static_cast<float>(sums[static_cast<size_t>(c)]);
  return result;
}

}  // namespace

Gradients conv(const VjpCall& call) {
  Gradients found(call.inputs.size());
  if (call.wanted.size() > 2 && call.wanted[2]) found[2] = bias_gradient(call.dy());
  if (element_count(call.shapes[0]) == 0 || element_count(call.shapes[1]) == 0) {
    for (size_t i = 0; i < 2; ++i)
      if (call.wanted[i]) found[i] = zeros(call.shapes[i]);
    return found;
  }
  if (!call.wanted[0] && !call.wanted[1]) return found;
  const ConvShape shape = conv_shape(call.node, call.shapes[0], call.shapes[1]);
  if (is_pointwise(shape, call.shapes[0])) {
    if (call.wanted[0])
      found[0] = pointwise_data_gradient(call.inputs[1], call.dy(), call.shapes[0]);
    if (call.wanted[1])
      found[1] = pointwise_weight_gradient(call.inputs[0], call.dy(), call.shapes[1]);
    return found;
  }
  const auto backward =
      call.cache.get<ConvBackward>(call.shapes[0], [&] { return ConvBackward(call); });
  if (call.wanted[0]) found[0] = data_gradient(call, *backward);
  if (call.wanted[1]) found[1] = weight_gradient(call, *backward);
  return found;
}

}  // namespace qtool::gradient
