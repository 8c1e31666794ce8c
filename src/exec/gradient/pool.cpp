// Local pools: an average shares its gradient out, a maximum passes it to the element that was taken.
#include <algorithm>

#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

// One axis of an average pool: which inputs each output position covers, and the kernel steps that
// count for the divisor.
struct AxisCover {
  std::vector<std::vector<int64_t>> inputs;  // by output position
  std::vector<int64_t> counted;
};

AxisCover cover(const Window& w, size_t d, bool include_pad) {
  AxisCover axis;
  for (int64_t o = 0; o < w.output[d]; ++o) {
    std::vector<int64_t> inside;
    int64_t counted = 0;
    for (int64_t k = 0; k < w.kernel[d]; ++k) {
      const int64_t at = o * w.strides[d] - w.pads_begin[d] + k * w.dilations[d];
      if (at >= 0 && at < w.input[d]) inside.push_back(at);
      if (at < w.input[d] + w.pads_end[d]) ++counted;
    }
    axis.counted.push_back(include_pad ? counted : static_cast<int64_t>(inside.size()));
    axis.inputs.push_back(std::move(inside));
  }
  return axis;
}

// x [outer][output][inner] → [outer][input][inner]: the axis' share of every window goes back.
std::vector<float> spread_axis(const std::vector<float>& dy, const AxisCover& axis, int64_t outer,
                               int64_t input, int64_t inner) {
  std::vector<float> dx(static_cast<size_t>(outer * input * inner), 0.f);
  const float* from = dy.data();
  for (int64_t o = 0; o < outer; ++o) {
    for (size_t p = 0; p < axis.inputs.size(); ++p, from += inner) {
      const float share = 1 / static_cast<float>(std::max<int64_t>(axis.counted[p], 1));
      for (int64_t at : axis.inputs[p]) {
        float* to = dx.data() + (o * input + at) * inner;
        for (int64_t i = 0; i < inner; ++i) to[i] += share * from[i];
      }
    }
  }
  return dx;
}

// Adds gradients up at the flat positions that the forward pass took them from.
Tensor scatter(const Tensor& dy, const Tensor& where, const Shape& shape) {
  Tensor dx = zeros(shape);
  float* out = dx.mutable_data<float>().data();
  const auto d = dy.data<float>();
  const auto at = where.data<int64_t>();
  for (size_t i = 0; i < d.size(); ++i) out[at[i]] += d[i];
  return dx;
}

}  // namespace

Gradients average_pool(const VjpCall& call) {
  const Shape& shape = call.shapes[0];
  const Window w = resolve_window(call.node, shape, attr_ints(call.node, "kernel_shape"));
  const bool include_pad = attr_int(call.node, "count_include_pad", 0) != 0;
  const auto d = call.dy().data<float>();
  std::vector<float> gradient(d.begin(), d.end());
  Shape now = call.dy().shape();
  for (size_t axis = 0; axis < w.output.size(); ++axis) {
    const AxisView view = view_axis(now, static_cast<int64_t>(axis) + 2);
    gradient =
        spread_axis(gradient, cover(w, axis, include_pad), view.outer, w.input[axis], view.inner);
    now[axis + 2] = w.input[axis];
  }
  return {Tensor::of<float>(shape, gradient)};
}

Gradients max_pool(const VjpCall& call) {
  Node node = call.node;
  node.outputs.resize(2, node.outputs[0]);
  remove_attribute(node, "storage_order");
  const Tensor& x = call.inputs[0];
  return {
      scatter(call.dy(), eval_node(node, std::max<int64_t>(call.opset, 8), {&x, 1})[1], x.shape())};
}

Gradients global_max_pool(const VjpCall& call) {
  const Tensor& x = call.inputs[0];
  const int64_t planes = x.dim(0) * x.dim(1), count = planes > 0 ? x.size() / planes : 0;
  const auto values = x.data<float>();
  Tensor where(DType::kInt64, call.dy().shape());
  for (int64_t p = 0; p < planes; ++p) {
    const auto begin = values.begin() + p * count;
    where.mutable_data<int64_t>()[static_cast<size_t>(p)] =
        std::max_element(begin, begin + count) - values.begin();
  }
  return {scatter(call.dy(), where, x.shape())};
}

}  // namespace qtool::gradient
