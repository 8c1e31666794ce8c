#include <gtest/gtest.h>

#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

std::vector<Tensor> run(const std::string& io, const std::string& node, const Feed& feed) {
  return Executor(model_from_text(
                      cat("<ir_version: 8, opset_import: [\"\": 17, \"com.microsoft\": 1]> g ", io,
                          " { ", node, " }")))
      .run(feed);
}

TEST(ContribFunctions, GeluTakesABias) {
  const Tensor y = run(
      "(float[n, 2] x, float[2] b) => (float[n, 2] y)", "y = com.microsoft.BiasGelu(x, b)",
      {{"x", Tensor::of<float>({1, 2}, {0.5f, -1})}, {"b", Tensor::of<float>({2}, {0.5f, 0})}})[0];
  EXPECT_NEAR(y.number(0), 0.841345, 1e-5);
  EXPECT_NEAR(y.number(1), -0.158655, 1e-5);
}

TEST(ContribFunctions, SkipLayerNormalizationAddsFirst) {
  const Tensor y = run("(float[n, 4] x, float[n, 4] s, float[4] g) => (float[n, 4] y)",
                       "y = com.microsoft.SkipLayerNormalization(x, s, g)",
                       {{"x", Tensor::of<float>({1, 4}, {1, 2, 3, 4})},
                        {"s", Tensor::of<float>({1, 4}, {1, 1, 1, 9})},
                        {"g", Tensor::of<float>({4}, {2, 2, 2, 2})}})[0];
  // 2, 3, 4, 13: mean 5.5, variance 19.25
  EXPECT_NEAR(y.number(3), 2 * 7.5 / std::sqrt(19.25), 1e-5);
}

// 0 … 2.55 is quantized by 0.01 from 0 on.
TEST(ContribFunctions, DynamicProductsQuantizeTheirInput) {
  const Feed feed = {{"a", Tensor::of<float>({1, 3}, {2.55f, 0, 1})},
                     {"b", Tensor::of<int8_t>({3, 2}, {1, 2, 3, 4, 5, 7})},
                     {"bs", Tensor::of<float>({2}, {0.5f, 2})},
                     {"bp", Tensor::of<int8_t>({2}, {0, 1})},
                     {"bias", Tensor::of<float>({2}, {10, 20})}};
  const std::string io =
      "(float[1, 3] a, int8[3, 2] b, float[2] bs, int8[2] bp, float[2] bias) => (float[1, 2] y)";
  const Tensor full =
      run(io, "y = com.microsoft.DynamicQuantizeMatMul(a, b, bs, bp, bias)", feed)[0];
  EXPECT_NEAR(full.number(0), 10 + 0.5 * (2.55 + 5), 1e-4);
  EXPECT_NEAR(full.number(1), 20 + 2 * (2.55 + 6), 1e-4);
  const Tensor plain = run(io, "y = com.microsoft.DynamicQuantizeMatMul(a, b, bs)", feed)[0];
  EXPECT_NEAR(plain.number(1), 2 * (2 * 2.55 + 7), 1e-4);
}

TEST(ContribFunctions, ProductsOfCodesMayHaveNoZeroPoints) {
  const Feed feed = {{"a", Tensor::of<uint8_t>({1, 2}, {3, 5})},
                     {"b", Tensor::of<int8_t>({2, 1}, {2, -1})},
                     {"as", Tensor::of<float>({}, {0.5f})},
                     {"bs", Tensor::of<float>({1}, {2})},
                     {"p", Tensor::of<int8_t>({1}, {1})}};
  const std::string io =
      "(uint8[1, 2] a, int8[2, 1] b, float as, float[1] bs, int8[1] p) => (float[1, 1] y)";
  EXPECT_EQ(run(io, "y = com.microsoft.MatMulIntegerToFloat(a, b, as, bs)", feed)[0].number(0), 1);
  EXPECT_EQ(run(io, "y = com.microsoft.MatMulIntegerToFloat(a, b, as, bs, , p)", feed)[0].number(0),
            -7);
}

TEST(ContribFunctions, ConvolutionsWithinAreLayers) {
  const Model m =
      prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>
g (float[n, 1, 4, 4] x) => (float[n, 1, 2, 2] y) <float[1, 1, 3, 3] w = {1, 1, 1, 1, 1, 1, 1, 1, 1}>
{ y = com.microsoft.FusedConv <activation = "Relu"> (x, w) })"));
  ASSERT_EQ(m.graph.nodes.size(), 2u);
  EXPECT_TRUE(is(m.graph.nodes[0], "Conv"));
  EXPECT_TRUE(is(m.graph.nodes[1], "Relu"));
}

}  // namespace
}  // namespace qtool
