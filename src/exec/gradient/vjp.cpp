#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {

Tensor zeros(const Shape& shape) { return Tensor(DType::kFloat, shape); }

Tensor sum_to(const Tensor& gradient, const Shape& shape) {
  if (gradient.shape() == shape) return gradient;
  std::vector<double> sum(static_cast<size_t>(element_count(shape)), 0.0);
  const float* from = gradient.data<float>().data();
  const LoopNest<2> nest{
      gradient.shape(), {strides_of(gradient.shape()), broadcast_strides(shape, gradient.shape())}};
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    double* to = sum.data() + at[1];
    for (int64_t i = 0; i < count; ++i) to[i * step[1]] += from[at[0] + i * step[0]];
  });
  Tensor out = Tensor::uninitialized(DType::kFloat, shape);
  float* to = out.mutable_data<float>().data();
  for (size_t i = 0; i < sum.size(); ++i) to[i] = static_cast<float>(sum[i]);
  return out;
}

Tensor broadcast_to(const Tensor& value, const Shape& shape) {
  if (value.shape() == shape) return value;
  Tensor out = Tensor::uninitialized(DType::kFloat, shape);
  const float* from = value.data<float>().data();
  float* to = out.mutable_data<float>().data();
  const LoopNest<2> nest{shape, {strides_of(shape), broadcast_strides(value.shape(), shape)}};
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    for (int64_t i = 0; i < count; ++i) to[at[0] + i * step[0]] = from[at[1] + i * step[1]];
  });
  return out;
}

std::vector<Tensor> evaluate(const VjpCall& call, std::span<const Tensor> inputs) {
  return eval_node(call.node, call.opset, inputs);
}

}  // namespace qtool::gradient
