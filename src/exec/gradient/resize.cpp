// Resize and Upsample: separable and linear, so that one axis is a matrix, which the operator's own
// evaluation on unit vectors gives.
#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

struct Entry {
  int64_t output, input;
  float weight;
};

// The axis' matrix. Unit vectors along it lie in the channels; along other axes they are constant,
// which interpolation keeps.
std::vector<Entry> axis_matrix(const VjpCall& call, size_t axis) {
  Shape shape = call.shapes[0];
  const int64_t length = shape[axis];
  shape[0] = 1;
  shape[1] = length;
  Tensor units(DType::kFloat, shape);
  const AxisView view = view_axis(shape, static_cast<int64_t>(axis));
  float* u = units.mutable_data<float>().data();
  const int64_t each = view.outer / length;  // rows of one channel
  for (int64_t k = 0; k < length; ++k) {
    for (int64_t row = 0; row < each; ++row)
      std::fill_n(u + ((k * each + row) * length + k) * view.inner, view.inner, 1.f);
  }
  std::vector<Tensor> inputs(call.inputs.begin(), call.inputs.end());
  inputs[0] = units;
  if (inputs.size() > 3 && inputs[3].defined() && inputs[3].size() == units.rank() &&
      !find_attribute(call.node, "axes")) {
    inputs[3].set_number(0, 1);
    inputs[3].set_number(1, static_cast<double>(length));
  }
  const Tensor result = evaluate(call, inputs)[0];
  const AxisView to = view_axis(result.shape(), static_cast<int64_t>(axis));
  const float* r = result.data<float>().data();
  std::vector<Entry> entries;
  for (int64_t k = 0; k < length; ++k) {
    for (int64_t o = 0; o < to.length; ++o) {
      const float weight = r[(k * (to.outer / length) * to.length + o) * to.inner];
      if (weight != 0) entries.push_back({o, k, weight});
    }
  }
  return entries;
}

}  // namespace

Gradients resize(const VjpCall& call) {
  const Shape& shape = call.shapes[0];
  Shape now = call.dy().shape();
  const bool plain =
      shape.size() > 2 && now[0] == shape[0] && now[1] == shape[1] &&
      attr_string(call.node, "coordinate_transformation_mode", "") != "tf_crop_and_resize";
  if (!plain)
    throw_unsupported(cat(node_text(call.node), ": no gradient of crops and of resized channels"));
  Tensor gradient = call.dy();
  for (size_t axis = 2; axis < shape.size(); ++axis) {
    if (element_count(now) == 0) return {zeros(shape)};
    const AxisView from = view_axis(now, static_cast<int64_t>(axis));
    now[axis] = shape[axis];
    Tensor next = zeros(now);
    const float* d = gradient.data<float>().data();
    float* out = next.mutable_data<float>().data();
    const std::vector<Entry> entries = axis_matrix(call, axis);
    for (int64_t row = 0; row < from.outer; ++row) {
      for (const Entry& e : entries) {
        const float* source = d + (row * from.length + e.output) * from.inner;
        float* target = out + (row * shape[axis] + e.input) * from.inner;
        for (int64_t i = 0; i < from.inner; ++i) target[i] += e.weight * source[i];
      }
    }
    gradient = std::move(next);
  }
  return {gradient};
}

}  // namespace qtool::gradient
