// Sums, products and extremes of values that broadcast: what flows back is summed over the
// dimensions along which a value was repeated.
#include <cmath>

#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

// Before opset 7 the second operand is laid along an axis of the first.
void refuse_old_broadcast(const VjpCall& call) {
  if (call.opset < 7 && call.shapes.size() == 2 && call.shapes[0] != call.shapes[1])
    throw_unsupported(cat(node_text(call.node), ": no gradient with broadcasting before opset 7"));
}

template <typename Fn>
Tensor times(const Tensor& dy, const Tensor& a, const Tensor& b, Fn fn) {
  const Tensor local = zip<float, float, float>(a, b, fn);
  return zip<float, float, float>(dy, local, [](float d, float l) { return d * l; });
}

}  // namespace

Gradients add(const VjpCall& call) {
  refuse_old_broadcast(call);
  Gradients found(call.shapes.size());
  for (size_t i = 0; i < found.size(); ++i)
    if (call.wanted[i]) found[i] = sum_to(call.dy(), call.shapes[i]);
  return found;
}

Gradients mean(const VjpCall& call) {
  const float part = 1 / static_cast<float>(call.shapes.size());
  const Tensor each = chain(call.dy(), call.dy(), [part](float) { return part; })[0];
  Gradients found(call.shapes.size());
  for (size_t i = 0; i < found.size(); ++i)
    if (call.wanted[i]) found[i] = sum_to(each, call.shapes[i]);
  return found;
}

Gradients sub(const VjpCall& call) {
  refuse_old_broadcast(call);
  Gradients found(2);
  if (call.wanted[0]) found[0] = sum_to(call.dy(), call.shapes[0]);
  if (call.wanted[1]) found[1] = sum_to(neg(call)[0], call.shapes[1]);
  return found;
}

Gradients mul(const VjpCall& call) {
  refuse_old_broadcast(call);
  const auto product = [](float a, float b) { return a * b; };
  Gradients found(2);
  for (size_t i = 0; i < 2; ++i) {
    if (!call.wanted[i]) continue;
    found[i] =
        sum_to(zip<float, float, float>(call.dy(), call.inputs[1 - i], product), call.shapes[i]);
  }
  return found;
}

Gradients div(const VjpCall& call) {
  refuse_old_broadcast(call);
  const Tensor &a = call.inputs[0], &b = call.inputs[1];
  Gradients found(2);
  if (call.wanted[0]) {
    found[0] = sum_to(
        zip<float, float, float>(call.dy(), b, [](float d, float y) { return d / y; }), a.shape());
  }
  if (call.wanted[1]) {
    found[1] =
        sum_to(times(call.dy(), a, b, [](float x, float y) { return -x / (y * y); }), b.shape());
  }
  return found;
}

Gradients pow(const VjpCall& call) {
  refuse_old_broadcast(call);
  const Tensor &a = call.inputs[0], b = cast(call.inputs[1], DType::kFloat);
  Gradients found(2);
  if (call.wanted[0]) {
    const auto slope = [](float x, float p) { return p == 0 ? 0.f : p * std::pow(x, p - 1); };
    found[0] = sum_to(times(call.dy(), a, b, slope), a.shape());
  }
  if (call.wanted[1]) {
    const auto slope = [](float x, float p) { return x > 0 ? std::pow(x, p) * std::log(x) : 0.f; };
    found[1] = sum_to(times(call.dy(), a, b, slope), b.shape());
  }
  return found;
}

Gradients extreme(const VjpCall& call) {
  Gradients found(call.inputs.size());
  for (size_t i = 0; i < found.size(); ++i) {
    if (!call.wanted[i]) continue;
    const auto taken = [](float x, float y) { return x == y ? 1.f : 0.f; };
    found[i] = sum_to(times(call.dy(), call.inputs[i], call.outputs[0], taken), call.shapes[i]);
  }
  return found;
}

}  // namespace qtool::gradient
