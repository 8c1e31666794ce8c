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
