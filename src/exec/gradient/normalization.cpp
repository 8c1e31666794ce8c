// Normalisations: of a batch by known statistics, of a layer and of vectors by their own.
#include <cmath>

#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {

Gradients batch_normalization(const VjpCall& call) {
  if (attr_int(call.node, "training_mode", 0) != 0)
    throw_unsupported(cat(node_text(call.node), ": no gradient in training mode"));
  const auto scale = call.inputs[1].data<float>(), variance = call.inputs[4].data<float>();
  const float epsilon = attr_float(call.node, "epsilon", 1e-5f);
  Tensor factor(DType::kFloat, {static_cast<int64_t>(scale.size())});
  for (size_t c = 0; c < scale.size(); ++c)
    factor.mutable_data<float>()[c] = scale[c] / std::sqrt(variance[c] + epsilon);
  Shape along(static_cast<size_t>(std::max<int64_t>(call.dy().rank() - 1, 1)), 1);
  along[0] = factor.size();
  const auto product = [](float d, float f) { return d * f; };
  return {zip<float, float, float>(call.dy(), factor.reshaped(along), product)};
}

Gradients layer_normalization(const VjpCall& call) {
  const Tensor &x = call.inputs[0], &dy = call.dy();
  for (size_t i = 1; i < call.wanted.size(); ++i) {
    if (call.wanted[i])
      throw_unsupported(cat(node_text(call.node), ": no gradient of computed scales"));
  }
  if (!dy.defined()) throw_unsupported(cat(node_text(call.node), ": no gradient of statistics"));
  const int64_t axis = normalize_axis(attr_int(call.node, "axis", -1), x.rank(), call.node);
  const Shape inner(x.shape().begin() + axis, x.shape().end());
  const Tensor scale = broadcast_to(call.inputs[1], inner);
  const int64_t length = element_count(inner), rows = length > 0 ? x.size() / length : 0;
  const double epsilon = attr_float(call.node, "epsilon", 1e-5f), n = static_cast<double>(length);
  Tensor dx = Tensor::uninitialized(DType::kFloat, x.shape());
  const float *px = x.data<float>().data(), *pd = dy.data<float>().data(),
              *s = scale.data<float>().data();
  float* out = dx.mutable_data<float>().data();
  for (int64_t r = 0; r < rows; ++r, px += length, pd += length, out += length) {
    double mean = 0, variance = 0, sum = 0, along = 0;
    for (int64_t i = 0; i < length; ++i) mean += px[i];
    mean /= n;
    for (int64_t i = 0; i < length; ++i) variance += (px[i] - mean) * (px[i] - mean);
    const double inverse = 1 / std::sqrt(variance / n + epsilon);
    for (int64_t i = 0; i < length; ++i) {
      const double g = double{pd[i]} * s[i];
      sum += g;
      along += g * (px[i] - mean) * inverse;
    }
    for (int64_t i = 0; i < length; ++i) {
      const double g = double{pd[i]} * s[i], normal = (px[i] - mean) * inverse;
      out[i] = static_cast<float>(inverse * (g - sum / n - normal * along / n));
    }
  }
  return {dx};
}

Gradients lp_normalization(const VjpCall& call) {
  const Tensor &x = call.inputs[0], &dy = call.dy();
  const AxisView view =
      view_axis(x.shape(), normalize_axis(attr_int(call.node, "axis", -1), x.rank(), call.node));
  const bool absolute = attr_int(call.node, "p", 2) == 1;
  Tensor dx = Tensor::uninitialized(DType::kFloat, x.shape());
  const float *px = x.data<float>().data(), *pd = dy.data<float>().data();
  float* out = dx.mutable_data<float>().data();
  for (int64_t v = 0; v < view.outer * view.inner; ++v) {
    const int64_t base = v / view.inner * view.length * view.inner + v % view.inner;
    const int64_t end = base + view.length * view.inner;
    double sum = 0, product = 0;
    for (int64_t i = base; i < end; i += view.inner) {
      sum += absolute ? std::abs(double{px[i]}) : double{px[i]} * px[i];
      product += double{px[i]} * pd[i];
    }
    const double norm = absolute ? sum : std::sqrt(sum);
    for (int64_t i = base; i < end; i += view.inner) {
      const double slope = absolute ? (px[i] > 0) - (px[i] < 0) : px[i] / norm;  // of the norm
      // A vector of zeros stays one.
      out[i] = norm == 0 ? 0.f : static_cast<float>((pd[i] - slope * product / norm) / norm);
    }
  }
  return {dx};
}

}  // namespace qtool::gradient
