// Activation functions.
#include <limits>
#include <numbers>

#include "ops/map.hpp"

namespace qtool {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr QuantRule kRectified{
    .kind = QuantKind::kActivation, .reason = "", .sensitive = [](const Node&) {
      return std::pair{0.0, kInfinity};
    }};
constexpr QuantRule kGated{
    .kind = QuantKind::kFunction, .reason = "", .sensitive = [](const Node&) {
      return std::pair{-3.0, kInfinity};
    }};
constexpr QuantRule kClippedLine{
    .kind = QuantKind::kFunction,
    .reason = "",
    .lowest = 0,
    .highest = 1,
    .sensitive = [](const Node& n) {
      const double a = attr_float(n, "alpha", 0.2f), b = attr_float(n, "beta", 0.5f);
      return a > 0 ? std::pair{-b / a, (1 - b) / a} : std::pair{-kInfinity, kInfinity};
    }};
constexpr QuantRule kFolded{.kind = QuantKind::kActivation, .reason = ""};
constexpr QuantRule kBetweenInputs{.kind = QuantKind::kActivation, .reason = "", .bounded = true};
constexpr QuantRule kSmooth{.kind = QuantKind::kFunction, .reason = ""};
constexpr QuantRule kUnit{.kind = QuantKind::kFunction, .reason = "", .lowest = 0, .highest = 1};
constexpr QuantRule kSigned{.kind = QuantKind::kFunction, .reason = "", .lowest = -1, .highest = 1};

template <typename T>
T relu(T x) {
  return x < 0 ? T(0) : x;  // keeps NaN
}

// x · Φ(x), or its tanh approximation.
auto make_gelu(const Call& call, auto zero) {
  using T = decltype(zero);
  const std::string mode = call.text("approximate", "none");
  require(mode == "none" || mode == "tanh", call, "approximate '", printable(mode),
          "' is not known");
  return [exact = mode == "none"](T x) {
    if (exact) return x / 2 * (1 + std::erf(x / std::numbers::sqrt2_v<T>));
    const T inner = std::sqrt(2 / std::numbers::pi_v<T>) * (x + T(0.044715) * x * x * x);
    return x / 2 * (1 + std::tanh(inner));
  };
}

auto make_elu(const Call& call, auto zero) {
  using T = decltype(zero);
  return [a = static_cast<T>(call.real("alpha", 1))](T x) { return x < 0 ? a * std::expm1(x) : x; };
}

auto make_celu(const Call& call, auto zero) {
  using T = decltype(zero);
  const T a = call.real("alpha", 1);
  return [a](T x) { return relu(x) + std::min<T>(0, a * std::expm1(x / a)); };
}

auto make_selu(const Call& call, auto zero) {
  using T = decltype(zero);
  const T a = call.real("alpha", 1.67326319217681884765625f);
  const T g = call.real("gamma", 1.05070102214813232421875f);
  return [a, g](T x) { return g * (x > 0 ? x : a * std::expm1(x)); };
}

auto make_hard_sigmoid(const Call& call, auto zero) {
  using T = decltype(zero);
  const T a = call.real("alpha", 0.2f), b = call.real("beta", 0.5f);
  return [a, b](T x) { return std::max<T>(0, std::min<T>(1, a * x + b)); };
}

auto make_thresholded_relu(const Call& call, auto zero) {
  using T = decltype(zero);
  return [a = static_cast<T>(call.real("alpha", 1))](T x) { return x > a ? x : T(0); };
}

auto make_swish(const Call& call, auto zero) {
  using T = decltype(zero);
  return [a = static_cast<T>(call.real("alpha", 1))](T x) { return x * sigmoid(a * x); };
}

auto make_leaky_relu(const Call& call, auto zero) {
  using T = decltype(zero);
  return [a = static_cast<T>(call.real("alpha", 0.01f))](T x) { return x < 0 ? a * x : x; };
}

std::vector<Tensor> eval_shrink(const Call& call) {
  const Tensor& x = call.in(0);
  const double bias = call.real("bias", 0), limit = call.real("lambd", 0.5f);
  return {with_number(call, x.dtype(), [&](auto zero) {
    return map<decltype(zero)>(x, [=](auto v) {
      const double d = static_cast<double>(v);
      return to_element<decltype(v)>(d < -limit ? d + bias : d > limit ? d - bias : 0);
    });
  })};
}

// Bounds: attributes before opset 11, optional scalar inputs since.
std::vector<Tensor> eval_clip(const Call& call) {
  const Tensor& x = call.in(0);
  return {with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T low = std::numeric_limits<T>::lowest(), high = std::numeric_limits<T>::max();
    if constexpr (std::is_floating_point_v<T>) {
      low = -std::numeric_limits<T>::infinity(), high = -low;
    }
    if (call.opset < 11) {
      require(std::is_floating_point_v<T>, call, "integers need opset 12");
      low = static_cast<T>(call.real("min", std::numeric_limits<float>::lowest()));
      high = static_cast<T>(call.real("max", std::numeric_limits<float>::max()));
    }
    for (size_t i = 1; i <= 2; ++i) {
      if (!call.has(i)) continue;
      const auto bound = input_data<T>(call, i);
      require(bound.size() == 1, call, "a bound must be a scalar");
      (i == 1 ? low : high) = bound[0];
    }
    // Where the bounds cross, the upper one wins.
    return map<T>(x, [=](T v) {
      const T raised = v < low ? low : v;
      return raised > high ? high : raised;
    });
  })};
}

}  // namespace

extern const OpDef kRelu = number_op<[](auto x) { return relu(x); }>("Relu", kRectified);
extern const OpDef kSigmoid = float_op<[](auto x) { return sigmoid(x); }>("Sigmoid", kUnit);
extern const OpDef kTanh = float_op<[](auto x) { return std::tanh(x); }>("Tanh", kSigned);
extern const OpDef kSoftplus = float_op<[](auto x) { return softplus(x); }>("Softplus", kSmooth);
extern const OpDef kSoftsign =
    float_op<[](auto x) { return x / (1 + std::abs(x)); }>("Softsign", kSigned);
extern const OpDef kMish =
    float_op<[](auto x) { return x * std::tanh(softplus(x)); }>("Mish", kSmooth);
extern const OpDef kHardSwish = float_op<[](auto x) {
  using T = decltype(x);
  return x * std::max<T>(0, std::min<T>(1, x / 6 + T(0.5)));
}>("HardSwish", kGated);
extern const OpDef kLeakyRelu =
    attribute_op<[](const Call& c, auto z) { return make_leaky_relu(c, z); }>("LeakyRelu", kSmooth);
extern const OpDef kElu =
    attribute_op<[](const Call& c, auto z) { return make_elu(c, z); }>("Elu", kSmooth);
extern const OpDef kCelu =
    attribute_op<[](const Call& c, auto z) { return make_celu(c, z); }>("Celu", kSmooth);
extern const OpDef kSelu =
    attribute_op<[](const Call& c, auto z) { return make_selu(c, z); }>("Selu", kSmooth);
extern const OpDef kHardSigmoid =
    attribute_op<[](const Call& c, auto z) { return make_hard_sigmoid(c, z); }>("HardSigmoid",
                                                                                kClippedLine);
extern const OpDef kThresholdedRelu =
    attribute_op<[](const Call& c, auto z) { return make_thresholded_relu(c, z); }>(
        "ThresholdedRelu", kSmooth);
extern const OpDef kSwish =
    attribute_op<[](const Call& c, auto z) { return make_swish(c, z); }>("Swish", kSmooth);
extern const OpDef kGelu =
    attribute_op<[](const Call& c, auto z) { return make_gelu(c, z); }>("Gelu", kSmooth);
extern const OpDef kShrink{.type = "Shrink", .since = 9, .eval = half_as_float<eval_shrink>};
extern const OpDef kClip{.type = "Clip", .eval = half_as_float<eval_clip>, .quant = kBetweenInputs};

}  // namespace qtool
