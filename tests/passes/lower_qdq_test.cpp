#include <gtest/gtest.h>

#include <algorithm>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

// Q → DQ → Conv (+ bias) → Relu → Q → DQ with u8 activations; `zero` is the output's zero point.
Model conv_model(int zero, const std::string& weight_type = "int8",
                 const std::string& weight_zero = "0") {
  return model_from_text(
      R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 2, 5, 5] x) => (float[1, 2, 5, 5] y)
<float xs = {0.02}, uint8 xz = {120}, )" +
      weight_type + R"([2, 2, 1, 1] w = {100, 3, 50, 120}, float[2] ws = {0.01, 0.02}, )" +
      weight_type + "[2] wz = {" + weight_zero + ", " + weight_zero +
      R"(}, int32[2] b = {300, -200}, float[2] bs = {0.0002, 0.0004}, int32[2] bz = {0, 0},
 float ys = {0.015}, uint8 yz = {)" +
      std::to_string(zero) + R"(}>
{ xq = QuantizeLinear(x, xs, xz)  xd = DequantizeLinear(xq, xs, xz)
  wd = DequantizeLinear <axis = 0> (w, ws, wz)  bd = DequantizeLinear <axis = 0> (b, bs, bz)
  c = Conv(xd, wd, bd)  r = Relu(c)  yq = QuantizeLinear(r, ys, yz)  y = DequantizeLinear(yq, ys, yz) })");
}

int count(const Model& model, std::string_view type) {
  return static_cast<int>(std::count_if(model.graph.nodes.begin(), model.graph.nodes.end(),
                                        [&](const Node& n) { return n.type == type; }));
}

void expect_equal_within_one_code(const Model& model, double code) {
  Rng rng(3);
  Tensor x(DType::kFloat, {1, 2, 5, 5});
  for (float& v : x.mutable_data<float>()) v = static_cast<float>(rng.normal());
  const Tensor want =
      Executor(model, {.backend = Backend::kReference, .observe = {}}).run({{"x", x}})[0];
  const Tensor have = Executor(lower_qdq(model).model).run({{"x", x}})[0];
  for (int64_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(have.number(i), want.number(i), code * 1.01) << i;
}

TEST(LowerQdq, RunsAConvolutionOnCodes) {
  const Lowered lowered = lower_qdq(conv_model(0));
  EXPECT_EQ(count(lowered.model, "QLinearConv"), 1);
  EXPECT_EQ(count(lowered.model, "Relu"), 0);
  EXPECT_EQ(lowered.model.graph.nodes.size(), 3u);  // Q, QLinearConv, DQ
  expect_equal_within_one_code(conv_model(0), 0.015);
}

TEST(LowerQdq, KnowsOperatorsThatAreOnCodesAlready) {
  const Lowered again = lower_qdq(lower_qdq(conv_model(0)).model);
  ASSERT_EQ(again.layers.size(), 1u);
  EXPECT_EQ(again.layers[0].type, "QLinearConv");
  EXPECT_TRUE(again.layers[0].integer);
}

TEST(LowerQdq, ClampsCodesWhereTheRangeDoesNotImplyRelu) {
  const Lowered lowered = lower_qdq(conv_model(40));
  const auto& nodes = lowered.model.graph.nodes;
  const auto conv = std::find_if(nodes.begin(), nodes.end(),
                                 [](const Node& n) { return n.type == "QLinearConv"; });
  EXPECT_EQ(attr_int(*conv, "code_min", -1), 40);
  expect_equal_within_one_code(conv_model(40), 0.015);
}

TEST(LowerQdq, ShiftsSymmetricUnsignedWeights) {
  const Model model = conv_model(0, "uint8", "128");
  EXPECT_EQ(count(lower_qdq(model).model, "QLinearConv"), 1);
  expect_equal_within_one_code(model, 0.015);
}

// u8 activations x [2, 3, 4] and k [2, 4, 3], a stack of weights and a matrix; float results.
Model product_model(const std::string& body, const std::string& outputs) {
  return model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 3, 4] x, float[2, 4, 3] k) => ()" +
                         outputs + R"()
<float xs = {0.02}, uint8 xz = {120}, float ks = {0.03}, uint8 kz = {100}, float ys = {0.1}, uint8 yz = {130},
 int8[4, 2] w = {10, -3, 50, 120, 7, 0, -90, 4}, float[2] ws = {0.01, 0.02}, int8[2] wz = {0, 0},
 int8[2, 4, 2] v = {10, -3, 50, 120, 7, 0, -90, 4, 1, 2, 3, 4, 5, 6, 7, 8}>
{ xq = QuantizeLinear(x, xs, xz)  xd = DequantizeLinear(xq, xs, xz)
  kq = QuantizeLinear(k, ks, kz)  kd = DequantizeLinear(kq, ks, kz)
  wd = DequantizeLinear <axis = 1> (w, ws, wz)  vd = DequantizeLinear <axis = 2> (v, ws, wz) )" +
                         body + "}");
}

void expect_equal_products(const Model& model, double tolerance) {
  Rng rng(9);
  Feed feed = {{"x", Tensor(DType::kFloat, {2, 3, 4})}, {"k", Tensor(DType::kFloat, {2, 4, 3})}};
  for (auto& [name, tensor] : feed)
    for (float& v : tensor.mutable_data<float>()) v = static_cast<float>(rng.normal());
  const Lowered lowered = lower_qdq(model);
  EXPECT_EQ(count(lowered.model, "QMatMul"), 1);
  EXPECT_EQ(count(lowered.model, "MatMul"), 0);
  const Tensor want = Executor(model, {.backend = Backend::kReference, .observe = {}}).run(feed)[0];
  for (Backend backend : {Backend::kReference, Backend::kOneDnn}) {
    const Tensor have = Executor(lowered.model, {.backend = backend, .observe = {}}).run(feed)[0];
    ASSERT_EQ(have.shape(), want.shape());
    for (int64_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(have.number(i), want.number(i), tolerance) << i;
  }
}

TEST(LowerQdq, MultipliesActivationsOfAnyRankWithAMatrix) {
  expect_equal_products(product_model("y = MatMul(xd, wd)", "float[2, 3, 2] y"), 1e-5);
}

TEST(LowerQdq, MultipliesTwoActivations) {
  expect_equal_products(product_model("y = MatMul(xd, kd)", "float[2, 3, 3] y"), 1e-5);
  expect_equal_products(product_model("p = MatMul(xd, kd)  yq = QuantizeLinear(p, ys, yz)  "
                                      "y = DequantizeLinear(yq, ys, yz)",
                                      "float[2, 3, 3] y"),
                        0.1001);
}

TEST(LowerQdq, MultipliesWithStackedMatrices) {
  expect_equal_products(product_model("y = MatMul(xd, vd)", "float[2, 3, 2] y"), 1e-5);
}

TEST(LowerQdq, SumsAndProductsBroadcast) {
  for (const char* type : {"Add", "Mul"}) {
    const Model model = model_from_text(
        std::string(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 3, 4, 4] x, float[2, 3, 1, 1] k) => (float[2, 3, 4, 4] y)
<float xs = {0.02}, uint8 xz = {120}, float ks = {0.01}, uint8 kz = {100}, float ys = {0.03}, uint8 yz = {128}>
{ xq = QuantizeLinear(x, xs, xz)  xd = DequantizeLinear(xq, xs, xz)
  kq = QuantizeLinear(k, ks, kz)  kd = DequantizeLinear(kq, ks, kz)
  p = )") +
        type + R"((xd, kd)  yq = QuantizeLinear(p, ys, yz)  y = DequantizeLinear(yq, ys, yz) })");
    Rng rng(4);
    Feed feed = {{"x", Tensor(DType::kFloat, {2, 3, 4, 4})},
                 {"k", Tensor(DType::kFloat, {2, 3, 1, 1})}};
    for (auto& [name, tensor] : feed)
      for (float& v : tensor.mutable_data<float>()) v = static_cast<float>(rng.normal());
    const Lowered lowered = lower_qdq(model);
    EXPECT_EQ(count(lowered.model, std::string("QLinear") + type), 1);
    const Tensor want =
        Executor(model, {.backend = Backend::kReference, .observe = {}}).run(feed)[0];
    const Tensor have = Executor(lowered.model).run(feed)[0];
    for (int64_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(have.number(i), want.number(i), 0.0301) << type << i;
  }
}

TEST(LowerQdq, SaysWhyALayerStaysInFloat) {
  const Lowered lowered = lower_qdq(conv_model(0, "int8", "3"));
  EXPECT_EQ(count(lowered.model, "QLinearConv"), 0);
  const auto conv = std::find_if(lowered.layers.begin(), lowered.layers.end(),
                                 [](const LayerStatus& l) { return l.type == "Conv"; });
  ASSERT_NE(conv, lowered.layers.end());
  EXPECT_FALSE(conv->integer);
  EXPECT_EQ(conv->reason, "its weight is not symmetric");
}

TEST(LowerQdq, MovesCodesOnlyWhereBothSidesMeanTheSame) {
  const auto model = [](const char* second) {
    return model_from_text(std::string(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 2, 3, 3] x) => (float[2, 9] y)
<float s = {0.1}, uint8 z = {10}, float t = {)") +
                           second + R"(}, int64[2] shape = {2, 9}>
{ q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  r = Reshape(d, shape)
  yq = QuantizeLinear(r, t, z)  y = DequantizeLinear(yq, t, z) })");
  };
  EXPECT_TRUE(lower_qdq(model("0.1")).layers[0].integer);
  EXPECT_FALSE(lower_qdq(model("0.2")).layers[0].integer);
}

TEST(LowerQdq, TabulatesFunctionsOfOneCode) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 2, 5, 5] x) => (float[1, 2, 5, 5] y)
<float s = {0.03}, uint8 z = {130}, float t = {0.00390625}, uint8 u = {0}>
{ q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  f = Sigmoid(d)
  yq = QuantizeLinear(f, t, u)  y = DequantizeLinear(yq, t, u) })");
  EXPECT_EQ(count(lower_qdq(model).model, "Lookup"), 1);
  expect_equal_within_one_code(model, 0.00390625);
}

}  // namespace
}  // namespace qtool
