// DynamicQuantizeLinear: uint8 codes with the scale and zero point of the tensor's own range.
#include <algorithm>
#include <cmath>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_dynamic_quantize(const Call& call) {
  const auto x = input_data<float>(call, 0);
  float low = 0, high = 0;
  for (float v : x) low = std::min(low, v), high = std::max(high, v);
  const float scale = high == low ? 1.f / 255 : (high - low) / 255;
  const float zero = std::nearbyint(std::clamp(-low / scale, 0.f, 255.f));
  Tensor codes = Tensor::uninitialized(DType::kUint8, call.in(0).shape());
  std::ranges::transform(x, codes.mutable_data<uint8_t>().begin(), [&](float v) {
    const float code = std::nearbyint(v / scale) + zero;
    return static_cast<uint8_t>(code > 0 ? std::min(code, 255.f) : 0.f);
  });
  return {codes, Tensor::scalar(scale), Tensor::scalar(static_cast<uint8_t>(zero))};
}

}  // namespace

extern const OpDef kDynamicQuantizeLinear{.type = "DynamicQuantizeLinear",
                                          .since = 11,
                                          .eval = eval_dynamic_quantize,
                                          .quant = {.reason = "already part of a quantized graph"}};

}  // namespace qtool
