// FakeQuantize (qtool): QuantizeLinear and DequantizeLinear in one, whose result and scale have gradients.
#include <algorithm>
#include <cmath>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

// x, scale (one): scale · clamp(round half to even(x / scale), low, high); attributes low and high are
// codes less the zero point.
std::vector<Tensor> eval_fake_quantize(const Call& call) {
  require(call.in(1).size() == 1, call, "its scale is no single number");
  const float scale = call.in(1).data<float>()[0];
  const auto low = static_cast<float>(call.integer("low", -128)),
             high = static_cast<float>(call.integer("high", 127));
  Tensor out = Tensor::uninitialized(DType::kFloat, call.in(0).shape());
  const auto x = call.in(0).data<float>();
  auto y = out.mutable_data<float>();
  for (size_t i = 0; i < x.size(); ++i) {
    const float code = std::nearbyint(x[i] / scale);
    y[i] = scale * (code > low ? std::min(code, high) : low);
  }
  return {std::move(out)};
}

}  // namespace

extern const OpDef kFakeQuantize = {
    .type = "FakeQuantize", .domain = "qtool", .eval = eval_fake_quantize};

}  // namespace qtool
