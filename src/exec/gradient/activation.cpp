// Activation functions. Those whose derivative follows from their result read that.
#include <cmath>
#include <limits>
#include <numbers>

#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// d/dx of x · Φ(x), exact or by the tanh approximation.
double exact_gelu(double x) {
  const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
  return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)) + x * density;
}
double tanh_gelu(double x) {
  const double c = std::sqrt(2 / std::numbers::pi), t = std::tanh(c * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
}

float real(const VjpCall& call, std::string_view name, float fallback) {
  return attr_float(call.node, name, fallback);
}

}  // namespace

Gradients relu(const VjpCall& call) {
  return chain(call.dy(), call.outputs[0], [](float y) { return y > 0 ? 1.f : 0.f; });
}

Gradients clip(const VjpCall& call) {
  float bounds[2] = {-std::numeric_limits<float>::infinity(),
                     std::numeric_limits<float>::infinity()};
  if (call.opset < 11) {
    bounds[0] = real(call, "min", bounds[0]);
    bounds[1] = real(call, "max", bounds[1]);
  }
  for (size_t i = 1; i <= 2 && i < call.inputs.size(); ++i)
    if (call.inputs[i].defined()) bounds[i - 1] = call.inputs[i].data<float>()[0];
  return chain(call.dy(), call.outputs[0], [low = bounds[0], high = bounds[1]](float y) {
    const float below = y < high ? 1.f : 0.f;
    return y > low ? below : 0.f;
  });
}

Gradients leaky_relu(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0],
               [a = real(call, "alpha", 0.01f)](float x) { return x < 0 ? a : 1.f; });
}

Gradients elu(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0],
               [a = real(call, "alpha", 1)](float x) { return x < 0 ? a * std::exp(x) : 1.f; });
}

Gradients selu(const VjpCall& call) {
  const float a = real(call, "alpha", 1.67326319217681884765625f),
              g = real(call, "gamma", 1.05070102214813232421875f);
  return chain(call.dy(), call.inputs[0], [=](float x) { return x > 0 ? g : g * a * std::exp(x); });
}

Gradients celu(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0],
               [a = real(call, "alpha", 1)](float x) { return x < 0 ? std::exp(x / a) : 1.f; });
}

Gradients thresholded_relu(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0],
               [a = real(call, "alpha", 1)](float x) { return x > a ? 1.f : 0.f; });
}

Gradients prelu(const VjpCall& call) {
  const Tensor &x = call.inputs[0], &slope = call.inputs[1];
  Gradients found(2);
  if (call.wanted[0]) {
    const Tensor local =
        zip<float, float, float>(x, slope, [](float v, float s) { return v < 0 ? s : 1.f; });
    found[0] = chain(call.dy(), local, [](float d) { return d; })[0];
  }
  if (call.wanted[1]) {
    const Tensor each = chain(call.dy(), x, [](float v) { return v < 0 ? v : 0.f; })[0];
    found[1] = sum_to(each, slope.shape());
  }
  return found;
}

Gradients sigmoid(const VjpCall& call) {
  return chain(call.dy(), call.outputs[0], [](float y) { return y * (1 - y); });
}

Gradients hard_sigmoid(const VjpCall& call) {
  return chain(call.dy(), call.outputs[0],
               [a = real(call, "alpha", 0.2f)](float y) { return y > 0 && y < 1 ? a : 0.f; });
}

Gradients hard_swish(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0], [](float x) {
    return x <= -3 ? 0.f : x >= 3 ? 1.f : x / 3 + 0.5f;
  });
}

Gradients swish(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0], [a = real(call, "alpha", 1)](float x) {
    const double s = logistic(a * x);
    return s + a * x * s * (1 - s);
  });
}

Gradients mish(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0], [](float x) {
    const double t = std::tanh(x > 20 ? double{x} : std::log1p(std::exp(double{x})));
    return t + x * (1 - t * t) * logistic(x);
  });
}

Gradients softplus(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0], [](float x) { return logistic(x); });
}

Gradients softsign(const VjpCall& call) {
  return chain(call.dy(), call.inputs[0], [](float x) {
    const float d = 1 + std::abs(x);
    return 1 / (d * d);
  });
}

Gradients gelu(const VjpCall& call) {
  const bool exact = attr_string(call.node, "approximate", "none") == "none";
  return chain(call.dy(), call.inputs[0],
               [exact](float x) { return exact ? exact_gelu(x) : tanh_gelu(x); });
}

Gradients tanh(const VjpCall& call) {
  return chain(call.dy(), call.outputs[0], [](float y) { return 1 - y * y; });
}

}  // namespace qtool::gradient
