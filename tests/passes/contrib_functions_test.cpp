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

TEST(ContribFunctions, FusedMatMulTurnsAndScales) {
  const Tensor y = run("(float[2, 1, 2] a, float[2, 1, 2] b) => (float[2, 2, 2] y)",
                       "y = com.microsoft.FusedMatMul <alpha: float = 0.5, transA = 1> (a, b)",
                       {{"a", Tensor::of<float>({2, 1, 2}, {1, 2, 3, 4})},
                        {"b", Tensor::of<float>({2, 1, 2}, {2, 4, 6, 8})}})[0];
  const std::vector<float> want = {1, 2, 2, 4, 9, 12, 12, 16};
  EXPECT_EQ(std::vector<float>(y.data<float>().begin(), y.data<float>().end()), want);
}

TEST(ContribFunctions, FusedActivationsHaveParameters) {
  const Feed feed = {{"a", Tensor::of<float>({1, 1}, {-2})},
                     {"b", Tensor::of<float>({1, 2}, {1, -9})}};
  const std::string io = "(float[1, 1] a, float[1, 2] b) => (float[1, 2] y)";
  const Tensor leaky = run(io,
                           "y = com.microsoft.FusedGemm <activation = \"LeakyRelu\", "
                           "activation_alpha: float = 0.25> (a, b)",
                           feed)[0];
  EXPECT_EQ(leaky.number(0), -0.5);
  EXPECT_EQ(leaky.number(1), 18);
  const Tensor elu = run(
      io, "y = com.microsoft.FusedGemm <activation = \"Elu\", alpha: float = 0.123456789> (a, b)",
      feed)[0];
  EXPECT_FLOAT_EQ(static_cast<float>(elu.number(0)), std::expm1(-2 * 0.123456789f));
  EXPECT_FLOAT_EQ(static_cast<float>(elu.number(1)), 18 * 0.123456789f);
  const Tensor product =
      run("(float[1, 1] a, float[1, 2] b) => (float[1, 2] y)",
          "y = com.microsoft.FusedMatMul <alpha: float = 0.123456789> (a, b)", feed)[0];
  EXPECT_EQ(product.number(0), -2 * 0.123456789f);
  const Tensor clipped = run(
      "(float[1, 1, 1] x, float[1, 1, 1] w) => (float[1, 1, 1] y)",
      "y = com.microsoft.FusedConv <activation = \"Clip\", activation_params = [-1.0, 6.0]> (x, w)",
      {{"x", Tensor::of<float>({1, 1, 1}, {4})}, {"w", Tensor::of<float>({1, 1, 1}, {3})}})[0];
  EXPECT_EQ(clipped.number(0), 6);
}

// With equal scores the mean of the values whose keys the mask leaves.
TEST(ContribFunctions, AttentionHidesMaskedKeys) {
  const Feed feed = {{"x", Tensor::of<float>({1, 3, 1}, {1, 3, 8})},
                     {"w", Tensor::of<float>({1, 3}, {0, 0, 1})},
                     {"m", Tensor::of<int32_t>({1, 3}, {1, 1, 0})}};
  const std::string io = "(float[1, 3, 1] x, float[1, 3] w, int32[1, 3] m) => (float[1, 3, 1] y)";
  EXPECT_NEAR(run(io, "y = com.microsoft.Attention <num_heads = 1> (x, w, , m)", feed)[0].number(0),
              2, 1e-6);
  EXPECT_NEAR(run(io, "y = com.microsoft.Attention <num_heads = 1> (x, w)", feed)[0].number(0), 4,
              1e-6);
  EXPECT_NEAR(run("(float[1, 3, 1] x, float[1, 3] w, int32[1, 3] m) => (float[1, 3, 1] y)",
                  "y = com.microsoft.MultiHeadAttention <num_heads = 1, scale: float = 0.001> (x, "
                  "x, x, , m)",
                  feed)[0]
                  .number(0),
              2, 1e-2);
  EXPECT_THROW(
      run(io, "y = com.microsoft.Attention <num_heads = 1, unidirectional = 1> (x, w)", feed),
      Error);
}

TEST(ContribFunctions, EmbeddingsCountTheKeysThatAttentionReads) {
  const std::vector<Tensor> y =
      run("(int32[1, 3] ids, float[2, 2] word, float[3, 2] position, float[2] g, float[2] b, "
          "int32[1, 3] m, float[2, 6] w)"
          " => (float[1, 3, 2] e, int32[1] n, float[1, 3, 2] y)",
          "e, n = com.microsoft.EmbedLayerNormalization(ids, , word, position, , g, b, m) "
          "y = com.microsoft.Attention <num_heads = 1> (e, w, , n)",
          {{"ids", Tensor::of<int32_t>({1, 3}, {0, 1, 1})},
           {"word", Tensor::of<float>({2, 2}, {0, 4, 6, 0})},
           {"position", Tensor::of<float>({3, 2}, {0, 0, 0, 0, 9, 0})},
           {"g", Tensor::of<float>({2}, {1, 1})},
           {"b", Tensor::of<float>({2}, {0, 0})},
           {"m", Tensor::of<int32_t>({1, 3}, {1, 1, 0})},
           {"w", Tensor::of<float>({2, 6}, {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1})}});
  EXPECT_NEAR(y[0].number(0), -1, 1e-5);
  EXPECT_NEAR(y[0].number(2), 1, 1e-5);
  EXPECT_EQ(y[1].number(0), 2);
  EXPECT_NEAR(y[2].number(0), 0, 1e-5);  // of −1 and 1, without the third
}

TEST(ContribFunctions, CodesOfSixteenBitsAndTheirOperators) {
  const Tensor y =
      run("(float[2] x, float s, uint16 z) => (float[2] y)",
          "q = com.microsoft.QuantizeLinear(x, s, z) y = com.microsoft.DequantizeLinear(q, s, z)",
          {{"x", Tensor::of<float>({2}, {30.001f, -1})},
           {"s", Tensor::of<float>({}, {0.5f})},
           {"z", Tensor::of<uint16_t>({}, {1})}})[0];
  EXPECT_EQ(y.number(0), 30);
  EXPECT_EQ(y.number(1), -0.5);
  const Feed codes = {{"x", Tensor::of<uint8_t>({1, 2}, {8, 12})},
                      {"s", Tensor::of<float>({}, {0.25f})},
                      {"z", Tensor::of<uint8_t>({}, {12})}};
  const std::string io = "(uint8[1, 2] x, float s, uint8 z) => (uint8[1, 2] y)";
  EXPECT_EQ(run(io, "y = com.microsoft.QLinearSigmoid(x, s, z, s)", codes)[0].number(1), 2);
  EXPECT_EQ(
      run(io, "y = com.microsoft.QLinearLeakyRelu <alpha: float = 0.5> (x, s, z, s, z)", codes)[0]
          .number(0),
      10);
  EXPECT_EQ(
      run(io, "y = com.microsoft.QLinearSoftmax <opset = 13> (x, s, z, s)", codes)[0].number(1), 3);
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
