// Softmax and LogSoftmax, from their results.
#include <cmath>

#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

// Before opset 13 all dimensions from the axis on are normalised together.
AxisView vectors(const VjpCall& call) {
  const Shape& shape = call.dy().shape();
  const auto rank = static_cast<int64_t>(shape.size());
  if (rank == 0) return {1, 1, 1};
  if (call.opset >= 13)
    return view_axis(shape, normalize_axis(attr_int(call.node, "axis", -1), rank, call.node));
  const int64_t axis = attr_int(call.node, "axis", 1);
  const auto cut = shape.begin() + (axis == rank ? axis : normalize_axis(axis, rank, call.node));
  return {element_count(Shape(shape.begin(), cut)), element_count(Shape(cut, shape.end())), 1};
}

// dx from (dy, y) of one vector whose elements are `step` apart.
template <typename Fn>
Gradients each_vector(const VjpCall& call, Fn fn) {
  const AxisView view = vectors(call);
  Tensor dx = Tensor::uninitialized(DType::kFloat, call.dy().shape());
  const float *d = call.dy().data<float>().data(), *y = call.outputs[0].data<float>().data();
  float* out = dx.mutable_data<float>().data();
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < view.inner; ++i) {
      const int64_t at = o * view.length * view.inner + i;
      fn(d + at, y + at, out + at, view.length, view.inner);
    }
  }
  return {dx};
}

}  // namespace

Gradients softmax(const VjpCall& call) {
  return each_vector(call, [](const float* d, const float* y, float* out, int64_t n, int64_t step) {
    double along = 0;
    for (int64_t k = 0; k < n; ++k) along += double{d[k * step]} * y[k * step];
    for (int64_t k = 0; k < n; ++k)
      out[k * step] = static_cast<float>(y[k * step] * (d[k * step] - along));
  });
}

Gradients log_softmax(const VjpCall& call) {
  return each_vector(call, [](const float* d, const float* y, float* out, int64_t n, int64_t step) {
    double sum = 0;
    for (int64_t k = 0; k < n; ++k) sum += d[k * step];
    for (int64_t k = 0; k < n; ++k)
      out[k * step] = static_cast<float>(d[k * step] - std::exp(double{y[k * step]}) * sum);
  });
}

}  // namespace qtool::gradient
