#include "exec/gradient/pointwise.hpp"

#include <dnnl.h>

#include <algorithm>

namespace qtool::gradient {

bool is_pointwise(const onednn::ConvShape& s, const Shape& input) {
  const auto all = [](const Shape& list, int64_t value) {
    return std::ranges::all_of(list, [value](int64_t d) { return d == value; });
  };
  return s.valid() && s.weights.size() == input.size() &&
         all(Shape(s.weights.begin() + 2, s.weights.end()), 1) && all(s.strides, 1) &&
         all(s.pads_begin, 0) && all(s.pads_end, 0);
}

Tensor pointwise_data_gradient(const Tensor& weight, const Tensor& dy, const Shape& input) {
  const int64_t filters = dy.dim(1), channels = input[1],
                positions = element_count(input) / (input[0] * channels);
  Tensor dx = Tensor::uninitialized(DType::kFloat, input);
  const float *w = weight.data<float>().data(), *from = dy.data<float>().data();
  float* to = dx.mutable_data<float>().data();
  for (int64_t n = 0; n < input[0]; ++n) {
    dnnl_sgemm('T', 'N', channels, positions, filters, 1.f, w, channels,
               from + n * filters * positions, positions, 0.f, to + n * channels * positions,
               positions);
  }
  return dx;
}

Tensor pointwise_weight_gradient(const Tensor& x, const Tensor& dy, const Shape& weight) {
  const int64_t filters = weight[0], channels = weight[1],
                positions = x.size() / (x.dim(0) * channels);
  Tensor dw = Tensor::uninitialized(DType::kFloat, weight);
  const float *in = x.data<float>().data(), *from = dy.data<float>().data();
  float* to = dw.mutable_data<float>().data();
  for (int64_t n = 0; n < x.dim(0); ++n) {
    dnnl_sgemm('N', 'T', filters, channels, positions, 1.f, from + n * filters * positions,
               positions, in + n * channels * positions, positions, n > 0 ? 1.f : 0.f, to,
               channels);
  }
  return dw;
}

}  // namespace qtool::gradient
