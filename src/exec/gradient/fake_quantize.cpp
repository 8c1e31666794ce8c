// Rounding as if it were the identity (straight-through estimator), clipped values as constants; the step
// size as in "Learned Step Size Quantization" (arXiv 1902.08153), without its gradient scale.
#include <cmath>

#include "exec/floats/kernels.hpp"
#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

constexpr int64_t kLanes = 8;

struct Levels {
  float scale, low, high;
};

// dx, and Σ dy · ∂y/∂scale.
QTOOL_CLONES double walk(const float* dy, const float* x, float* dx, int64_t count, Levels l) {
  double sums[kLanes] = {};
  const auto one = [&](int64_t i, int64_t k) {
    const float at = x[i] / l.scale;
    const bool inside = at >= l.low && at <= l.high;
    const float slope = inside ? std::nearbyint(at) - at : at < l.low ? l.low : l.high;
    sums[k] += static_cast<double>(dy[i] * slope);
    dx[i] = inside ? dy[i] : 0.f;
  };
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes)
    for (int64_t k = 0; k < kLanes; ++k) one(i + k, k);
  for (int64_t i = whole; i < count; ++i) one(i, i - whole);
  double sum = 0;
  for (int64_t k = 0; k < kLanes; ++k) sum += sums[k];
  return sum;
}

}  // namespace

Gradients fake_quantize(const VjpCall& call) {
  const Levels levels{call.inputs[1].data<float>()[0],
                      static_cast<float>(attr_int(call.node, "low", -128)),
                      static_cast<float>(attr_int(call.node, "high", 127))};
  const Tensor& dy = call.dy();
  Gradients found(2);
  found[0] = Tensor::uninitialized(DType::kFloat, dy.shape());
  const double sum = walk(dy.data<float>().data(), call.inputs[0].data<float>().data(),
                          found[0].mutable_data<float>().data(), dy.size(), levels);
  if (call.wanted[1]) {
    found[1] = zeros(call.inputs[1].shape());
    found[1].mutable_data<float>()[0] = static_cast<float>(sum);
  }
  return found;
}

}  // namespace qtool::gradient
