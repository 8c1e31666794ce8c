#include <gtest/gtest.h>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

// A small network whose folded form has one convolution and nothing else.
constexpr const char* kConvBatchNorm = R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 1, 2, 2] x) => (float[n, 2, 2, 2] y)
<float[2, 1, 1, 1] w = {1.0, -2.0}, float[2] s = {2.0, 0.5}, float[2] b = {1.0, -1.0},
 float[2] m = {0.5, 0.25}, float[2] v = {1.0, 4.0}>
{ c = Conv(x, w)  y = BatchNormalization <epsilon = 0.0> (c, s, b, m, v) })";

Tensor run_one(const Model& model, Tensor x, Backend backend = Backend::kReference) {
  return Executor(model, {.backend = backend, .observe = {}}).run({{"x", std::move(x)}})[0];
}

TEST(Prepare, FoldsBatchNormIntoConvolution) {
  const Model model = model_from_text(kConvBatchNorm), prepared = prepare(model);
  ASSERT_EQ(prepared.graph.nodes.size(), 1u);
  EXPECT_TRUE(is(prepared.graph.nodes[0], "Conv"));
  const Tensor x = Tensor::of<float>({1, 1, 2, 2}, {1, 2, -3, 0.5f});
  const Tensor want = run_one(model, x), have = run_one(prepared, x);
  for (int64_t i = 0; i < want.size(); ++i) EXPECT_NEAR(have.number(i), want.number(i), 1e-5);
}

TEST(Prepare, KeepsTheNameOfTheSurvivingValue) {
  const Model prepared = prepare(model_from_text(kConvBatchNorm));
  EXPECT_EQ(prepared.graph.value(prepared.graph.outputs[0]).name, "y");
}

TEST(Prepare, LeavesBatchNormThatSomebodyElseReadsAround) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 1, 2, 2] x) => (float[1, 1, 2, 2] y, float[1, 1, 2, 2] c)
<float[1, 1, 1, 1] w = {1.0}, float[1] s = {2.0}, float[1] b = {1.0}, float[1] m = {0.5}, float[1] v = {1.0}>
{ c = Conv(x, w)  y = BatchNormalization(c, s, b, m, v) })");
  EXPECT_EQ(prepare(model).graph.nodes.size(), 2u);
}

TEST(Prepare, DoesNotChangeAWeightThatTwoLayersShare) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 1, 2, 2] x) => (float[1, 1, 2, 2] y, float[1, 1, 2, 2] z)
<float[1, 1, 1, 1] w = {3.0}, float[1] k = {2.0}>
{ c = Conv(x, w)  y = Mul(c, k)  z = Conv(x, w) })");
  const Model prepared = prepare(model);
  const Tensor x = Tensor::of<float>({1, 1, 2, 2}, {1, 2, 3, 4});
  const auto have =
      Executor(prepared, {.backend = Backend::kReference, .observe = {}}).run({{"x", x}});
  EXPECT_FLOAT_EQ(have[0].data<float>()[1], 12);
  EXPECT_FLOAT_EQ(have[1].data<float>()[1], 6);
}

TEST(Prepare, MakesGemmOfMatMulAndBias) {
  const Model prepared = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2] x) => (float[n, 2] y)
<float[2, 2] w = {1.0, 2.0, 3.0, 4.0}, float[1, 2] b = {10.0, 20.0}>
{ m = MatMul(x, w)  y = Add(b, m) })"));
  ASSERT_EQ(prepared.graph.nodes.size(), 1u);
  EXPECT_TRUE(is(prepared.graph.nodes[0], "Gemm"));
  const Tensor y = run_one(prepared, Tensor::of<float>({1, 2}, {1, 1}));
  EXPECT_FLOAT_EQ(y.data<float>()[0], 14);
  EXPECT_FLOAT_EQ(y.data<float>()[1], 26);
}

TEST(Prepare, FoldsConstantArithmetic) {
  const Model prepared = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2] x) => (float[2] y)
<float[2] a = {1.0, 2.0}>
{ b = Neg(a)  c = Exp(b)  i = Identity(x)  y = Add(i, c) })"));
  EXPECT_EQ(prepared.graph.nodes.size(), 1u);
}

TEST(Prepare, ConvertsOldOpsets) {
  const Model prepared = prepare(model_from_text(R"(<ir_version: 7, opset_import: ["": 8]>
g (float[1, 2] x) => (float[1, 2] y) { y = Relu(x) })"));
  EXPECT_GE(prepared.opset(), 13);
}

TEST(Prepare, TakesLayerNormalizationFromModelsOlderThanIt) {
  const Model prepared = prepare(model_from_text(R"(<ir_version: 7, opset_import: ["": 12]>
g (float[1, 2] x) => (float[1, 2] y) <float[2] scale = {3, 3}> { n = LayerNormalization(x, scale)  y = Relu(n) })"));
  EXPECT_EQ(prepared.opset(), 17);
  EXPECT_TRUE(is(prepared.graph.nodes[0], "LayerNormalization"));
  const Tensor y = Executor(prepared).run({{"x", Tensor::of<float>({1, 2}, {1, 5})}})[0];
  EXPECT_EQ(y.number(0), 0);
  EXPECT_NEAR(y.number(1), 3, 1e-4);
}

TEST(Fusion, GivesTheSameResultsAsSingleNodes) {
  const Model model = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 2, 4, 4] x) => (float[1, 2, 4, 4] y)
<float[2, 2, 3, 3] w = {0.1, -0.2, 0.3, 0.4, -0.5, 0.6, -0.7, 0.8, 0.9, 0.1, 0.2, -0.3, 0.4, 0.5, -0.6, 0.7, -0.8, 0.9,
                        0.2, -0.1, 0.4, 0.3, -0.6, 0.5, -0.8, 0.7, 0.1, 0.9, 0.3, -0.2, 0.5, 0.4, -0.7, 0.6, -0.9, 0.8},
 float lo = {0.0}, float hi = {1.5}>
{ c = Conv <pads = [1, 1, 1, 1]> (x, w)  s = Add(c, x)  r = Relu(s)  y = Clip(r, lo, hi) })"));
  std::vector<float> values;
  for (int i = 0; i < 32; ++i) values.push_back(static_cast<float>(i % 7) * 0.3f - 0.8f);
  const Tensor x = Tensor::of<float>({1, 2, 4, 4}, values);
  const Executor fused(model), single(model, {.backend = Backend::kReference, .observe = {}});
  EXPECT_LT(fused.step_count(), single.step_count());
  EXPECT_EQ(fused.step_of(model.graph.nodes[0].name), 0);
  const Tensor want = single.run({{"x", x}})[0], have = fused.run({{"x", x}})[0];
  for (int64_t i = 0; i < want.size(); ++i) EXPECT_NEAR(have.number(i), want.number(i), 1e-5);
}

TEST(Fusion, LeavesObservedValuesAlone) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 1, 2, 2] x) => (float[1, 1, 2, 2] y) <float[1, 1, 1, 1] w = {-1.0}> { c = Conv(x, w)  y = Relu(c) })");
  struct Seen : Tap {
    std::vector<std::string> names;
    void on_value(const std::string& name, Tensor&) override { names.push_back(name); }
  } seen;
  Executor(model, {.observe = {"c"}}).run({{"x", Tensor(DType::kFloat, {1, 1, 2, 2})}}, &seen);
  EXPECT_EQ(seen.names, std::vector<std::string>{"c"});
}

TEST(Prepare, FindsHardSwishHoweverItIsSpelled) {
  for (const char* body :
       {"a = Add(x, three)  c = Clip(a, zero, six)  m = Mul(x, c)  y = Div(m, six)",
        "a = Add(three, x)  c = Clip(a, zero, six)  d = Div(c, six)  y = Mul(d, x)",
        "a = Add(x, three)  c = Clip(a, zero, six)  m = Mul(c, x)  y = Mul(m, sixth)",
        "h = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x)  y = Mul(x, h)"}) {
    const Model model = model_from_text(std::string(R"(<ir_version: 7, opset_import: ["": 12]>
g (float[5] x) => (float[5] y) <float three = {3}, float zero = {0}, float six = {6}, float sixth = {0.16666667}> { )") +
                                        body + " }");
    const Model prepared = prepare(model);
    ASSERT_EQ(prepared.graph.nodes.size(), 1u) << body;
    EXPECT_EQ(prepared.graph.nodes[0].type, "HardSwish");
    const Feed feed = {{"x", Tensor::of<float>({5}, {-4, -1, 0, 2, 5})}};
    const Tensor y = Executor(prepared).run(feed)[0];
    const float want[] = {0, -1.f / 3, 0, 5.f / 3, 5};
    for (int64_t i = 0; i < 5; ++i) EXPECT_NEAR(y.number(i), want[i], 1e-6) << body;
  }
}

TEST(Prepare, LeavesOtherGatesAlone) {
  const Model model = model_from_text(R"(<ir_version: 7, opset_import: ["": 12]>
g (float[5] x, float[5] z) => (float[5] y) <float three = {3}, float zero = {0}, float six = {6}>
{ a = Add(x, three)  c = Clip(a, zero, six)  m = Mul(z, c)  y = Div(m, six) })");
  const Model prepared = prepare(model);
  EXPECT_EQ(prepared.opset(), 13);
  for (const Node& node : prepared.graph.nodes) EXPECT_NE(node.type, "HardSwish");
}

}  // namespace
}  // namespace qtool
