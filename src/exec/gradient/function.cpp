// Mathematical functions of one value.
#include <cmath>
#include <numbers>

#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {

Gradients erf(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0],
               [](float x) { return 2 / std::sqrt(std::numbers::pi_v<float>) * std::exp(-x * x); });
}

Gradients exp(const VjpCall& call) {
  return chain(call.dy(), call.outputs[0], [](float y) { return y; });
}

Gradients log(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0], [](float x) { return 1 / x; });
}

Gradients sqrt(const VjpCall& call) {
  // At zero the slope is infinite; a gradient that arrives there is dropped.
  return chain(call.dy(), call.outputs[0], [](float y) { return y > 0 ? 0.5f / y : 0.f; });
}

Gradients reciprocal(const VjpCall& call) {
  return chain(call.dy(), call.outputs[0], [](float y) { return -y * y; });
}

Gradients abs(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0], [](float x) { return x > 0 ? 1.f : x < 0 ? -1.f : 0.f; });
}

Gradients neg(const VjpCall& call) {
  return chain(call.dy(), call.dy(), [](float) { return -1.f; });
}

Gradients sin(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0], [](float x) { return std::cos(x); });
}

Gradients cos(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0], [](float x) { return -std::sin(x); });
}

}  // namespace qtool::gradient
