// Convolution, by oneDNN's backward passes over data and over weights.
#include "exec/gradient/vjp.hpp"
#include "exec/onednn/window.hpp"

namespace qtool::gradient {
namespace {

using namespace onednn;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;

// Descriptors of one input shape; layouts are left to the primitives.
struct Descriptors {
  Descriptors(const ConvShape& shape, const Shape& input)
      : x(any_descriptor(DType::kFloat, input)),
        w(any_descriptor(DType::kFloat, shape.weights)),
        y(any_descriptor(DType::kFloat, shape.output)),
        attr(user_scratchpad()),
        hint(convolution_descriptor(shape, x, w, Descriptor(), y, attr)) {}
  Descriptor x, w, y;
  dnnl::primitive_attr attr;
  dnnl::convolution_forward::primitive_desc hint;
};

BackwardData::primitive_desc data_descriptor(const ConvShape& s, const Descriptors& d) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(),    algorithm,    d.x,        d.w,    d.y,   s.strides,
          s.dilations, s.pads_begin, s.pads_end, d.hint, d.attr};
#else
  return {BackwardData::desc(algorithm, d.x, d.w, d.y, s.strides, s.dilations, s.pads_begin,
                             s.pads_end),
          d.attr, engine(), d.hint};
#endif
}

BackwardWeights::primitive_desc weights_descriptor(const ConvShape& s, const Descriptors& d) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(),    algorithm,    d.x,        d.w,    d.y,   s.strides,
          s.dilations, s.pads_begin, s.pads_end, d.hint, d.attr};
#else
  return {BackwardWeights::desc(algorithm, d.x, d.w, d.y, s.strides, s.dilations, s.pads_begin,
                                s.pads_end),
          d.attr, engine(), d.hint};
#endif
}

// The primitives for one input shape, and weights as they are packed for them.
struct ConvBackward {
  explicit ConvBackward(const VjpCall& call)
      : shape(conv_shape(call.node, call.shapes[0], call.shapes[1])) {
    const Descriptors descriptors(shape, call.shapes[0]);
    if (call.wanted[0]) {
      data_pd = data_descriptor(shape, descriptors);
      data = BackwardData(data_pd);
      first = call.inputs[1];
      first_packed = pack(first);
    }
    if (call.wanted[1]) {
      weights_pd = weights_descriptor(shape, descriptors);
      weights = BackwardWeights(weights_pd);
    }
  }
  Descriptor plain_weights() const { return plain_descriptor(DType::kFloat, shape.weights); }
  Tensor pack(const Tensor& plain) const {
    return reordered(plain.raw(), plain_weights(), data_pd.weights_desc());
  }
  Tensor packed(const Tensor& plain) const {
    return plain.shares_bytes_with(first) ? first_packed : pack(plain);
  }

  ConvShape shape;
  BackwardData::primitive_desc data_pd;
  BackwardData data;
  BackwardWeights::primitive_desc weights_pd;
  BackwardWeights weights;
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
  const auto& pd = backward.weights_pd;
  const Descriptor& dw = pd.diff_weights_desc();
  Tensor packed = Tensor::uninitialized(DType::kUint8, {static_cast<int64_t>(dw.get_size())});
  Tensor keep_x, keep_dy;
  Arguments arguments{{DNNL_ARG_SRC, in_layout(Array(call.inputs[0]), pd.src_desc(), keep_x)},
                      {DNNL_ARG_DIFF_DST, in_layout(Array(call.dy()), pd.diff_dst_desc(), keep_dy)},
                      {DNNL_ARG_DIFF_WEIGHTS, memory_of(dw, packed.mutable_raw())}};
  execute(backward.weights, pd.scratchpad_desc(), arguments);
  const Tensor plain = reordered(packed.raw(), dw, backward.plain_weights());
  Tensor result = Tensor::uninitialized(DType::kFloat, call.shapes[1]);
  std::copy_n(static_cast<const char*>(plain.raw()), result.bytes(),
              static_cast<char*>(result.mutable_raw()));
  return result;
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
  const auto backward =
      call.cache.get<ConvBackward>(call.shapes[0], [&] { return ConvBackward(call); });
  if (call.wanted[0]) found[0] = data_gradient(call, *backward);
  if (call.wanted[1]) found[1] = weight_gradient(call, *backward);
  return found;
}

}  // namespace qtool::gradient
