// Biases that integers have to hold.
#include <gtest/gtest.h>

#include "quantize/internal.hpp"

namespace qtool {
namespace {

TEST(Bias, ThatWouldOverflowWidensItsChannel) {
  const LayerSite site{.name = "l",
                       .type = "Gemm",
                       .input = {},
                       .output = {},
                       .weight = {},
                       .bias = {},
                       .channels = 1,
                       .weights = 2,
                       .reason = {}};
  const Tensor weight = Tensor::of<float>({1, 2}, {1e-7f, -1e-7f});
  qdq::LayerResult layer;
  layer.weight = find_optimizer("rtn").optimize({weight, 0, 8, {}, 1, false});
  layer.bias = {100.f};
  QParams input;
  input.scale = {1e-3f};
  EXPECT_EQ(qdq::repair_bias_overflow(layer, site, input), 1);
  EXPECT_LT(100.0 / (1e-3 * layer.weight.scales[0]), 2147483648.0 / 2 * 1.001);
  EXPECT_NE(layer.note, "");
}

TEST(Bias, RepairKeepsNarrowCodesInsideTheirWidth) {
  LayerSite site;
  site.channels = 1;
  qdq::LayerResult layer;
  layer.bits = 2;
  layer.weight.codes = Tensor::of<int8_t>({1, 4}, {-2, 1, 1, -1});
  layer.weight.scales = {1e-7f};  // a clipped scale: the weights behind it reach further
  layer.bias = {120.f};
  QParams input;
  input.scale = {1e-3f};
  EXPECT_EQ(qdq::repair_bias_overflow(layer, site, input), 1);
  for (int8_t code : layer.weight.codes.data<int8_t>()) {
    EXPECT_GE(code, -2);
    EXPECT_LE(code, 1);
  }
}

}  // namespace
}  // namespace qtool
