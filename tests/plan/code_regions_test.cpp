#include <gtest/gtest.h>

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "qtool/plan.hpp"

namespace qtool {
namespace {

Sites sites_of(const char* text) {
  return find_sites(prepare(model_from_text(text)), find_target("ort-cpu"));
}

std::string reason_of(const Sites& sites, const std::string& node) {
  for (const NodeSite& n : sites.nodes)
    if (n.name == node) return n.reason;
  return "no such node";
}

// One attention head with its residual sum and normalisation.
Sites attention() {
  return sites_of(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4, 2] x, float[n, 1, 4] mask) => (float[n, 4, 2] y)
<float[2, 2] wq = {1.0, 2.0, 3.0, 4.0}, float[2, 2] wk = {1.0, 2.0, 3.0, 4.0}, float[2, 2] wo = {1.0, 2.0, 3.0, 4.0},
 float[2] b = {0.1, 0.2}, float[2] g1 = {1.0, 1.0}, float[2, 2] wf = {1.0, 2.0, 3.0, 4.0}>
{ [norm0] x0 = LayerNormalization(x, g1)
  [query] q0 = MatMul(x0, wq)  [query_bias] q = Add(q0, b)
  [key] k0 = MatMul(x0, wk)  [turn] kt = Transpose <perm = [0, 2, 1]> (k0)
  [scores] s0 = MatMul(q, kt)  [masked] s = Add(s0, mask)  [softmax] p = Softmax(s)
  [context] c = MatMul(p, q)  [out] o = MatMul(c, wo)
  [residual] r = Add(o, x0)  [norm] h = LayerNormalization(r, g1)  [last] y = MatMul(h, wf) })");
}

TEST(CodeRegions, ProductsOfActivationsReadCodes) {
  const Sites sites = attention();
  EXPECT_EQ(reason_of(sites, "scores"), "");
  EXPECT_EQ(reason_of(sites, "context"), "");
  for (const char* name : {"x0", "q", "kt", "p", "c", "h"})
    EXPECT_NE(sites.activation(name), nullptr) << name;
}

TEST(CodeRegions, ScoresAndResidualSumsStayFloat) {
  const Sites sites = attention();
  for (const char* name : {"s0", "s", "o", "r", "q0"})
    EXPECT_EQ(sites.activation(name), nullptr) << name;
  EXPECT_EQ(reason_of(sites, "residual"), "one of its operands is computed in float");
  EXPECT_NE(reason_of(sites, "softmax"), "");
  EXPECT_NE(reason_of(sites, "norm"), "");
}

TEST(CodeRegions, FloatReadersKeepTheFloatValue) {
  const Sites sites = attention();
  EXPECT_EQ(sites.activation("x0")->readers, (std::set<std::string>{"query", "key"}));
  EXPECT_TRUE(sites.activation("c")->readers.empty());
}

TEST(CodeRegions, SoftmaxHasAFixedRange) {
  const Sites sites = attention();
  ASSERT_TRUE(sites.activation("p")->fixed_range);
  EXPECT_EQ(sites.activation("p")->fixed_range->second, 1);
}

TEST(CodeRegions, QuantizersMoveInFrontOfDataMovement) {
  const Sites sites = attention();
  ASSERT_NE(sites.activation("k0"), nullptr);
  EXPECT_EQ(sites.activation("kt")->shares_with, "k0");
  EXPECT_EQ(reason_of(sites, "turn"), "");
}

// Pixels of a picture in other places, and copies of channels behind a float node.
TEST(CodeRegions, JoiningWhatIsMovedFromOneValueIsMovement) {
  const char* const focus = R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 3, 8, 8] x) => (float[1, 2, 8, 4] y)
<float[2, 6, 1, 1] w = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, int64[1] zero = {0}, int64[1] one = {1},
 int64[1] end = {8}, int64[1] axis = {3}, int64[1] two = {2}>
{ a = Slice(x, zero, end, axis, two)  b = Slice(x, one, end, axis, two)  [join] c = Concat <axis = 1> (a, b)
  y = Conv(c, w) })";
  const Sites pixels = sites_of(focus);
  EXPECT_EQ(reason_of(pixels, "join"), "");
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(pixels.activation(name)->shares_with, "x");

  const Sites copies = sites_of(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 2] x) => (float[n, 3, 1] y)
<float[3, 1] w = {1.0, 2.0, 3.0}, int64[1] which = {1}>
{ e = Erf(x)  p = Gather <axis = 2> (e, which)  [join] c = Concat <axis = 2> (e, p)  y = MatMul(c, w) })");
  EXPECT_EQ(reason_of(copies, "join"), "");
  EXPECT_EQ(copies.activation("c")->shares_with, "e");

  // Others read it in float: their reader has a quantizer of its own.
  const Sites read = sites_of(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 2] x) => (float[n, 3, 1] y, float[n, 3, 2] e)
<float[3, 1] w = {1.0, 2.0, 3.0}, int64[1] which = {1}>
{ e = Erf(x)  p = Gather <axis = 2> (e, which)  [join] c = Concat <axis = 2> (e, p)  y = MatMul(c, w) })");
  EXPECT_EQ(reason_of(read, "join"), "one of its operands is computed in float");
  EXPECT_EQ(read.activation("c")->shares_with, "");
  EXPECT_EQ(read.activation("e"), nullptr);
}

// Operands whose ranges differ: one has no say in what the other's codes mean.
TEST(CodeRegions, JoiningSomePartsOfASplitIsNoMovement) {
  const Sites sites = sites_of(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6] x) => (float[n, 3, 1] y, float[n, 3, 2] z)
<float[4, 1] w = {1.0, 2.0, 3.0, 4.0}, int64[3] parts = {2, 2, 2}>
{ e = Erf(x)  p, q, r = Split <axis = 2> (e, parts)  z = Softmax(q)  [join] c = Concat <axis = 2> (p, r)
  y = MatMul(c, w) })");
  EXPECT_EQ(reason_of(sites, "join"), "one of its operands is computed in float");
  EXPECT_EQ(sites.activation("c")->shares_with, "");
  EXPECT_EQ(sites.activation("p"), nullptr);
}

TEST(CodeRegions, SumsBetweenConvolutionsRunOnCodes) {
  const Sites sites = sites_of(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, 4, 4] x) => (float[n, 2, 4, 4] y, float[n, 2, 4, 4] z)
<float[2, 2, 1, 1] w = {1.0, 2.0, 3.0, 4.0}>
{ [a] a = Conv(x, w)  [b] b = Conv(x, w)  [sum] s = Add(a, b)  [act] t = Tanh(s)  [c] y = Conv(t, w)  [last] z = Add(a, b) })");
  EXPECT_EQ(reason_of(sites, "sum"), "");  // Tanh is a table between codes
  EXPECT_NE(sites.activation("s"), nullptr);
  EXPECT_EQ(reason_of(sites, "last"), "no node that runs on codes reads its result");
  EXPECT_EQ(sites.activation("z"), nullptr);
}

TEST(CodeRegions, LayersWithoutAnIntegerKernelStoreCodes) {
  const Sites sites = sites_of(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, 4, 4] x) => (float[n, 1, 4, 4] y) <float[2, 1, 1, 1] w = {1.0, 2.0}>
{ [up] y = ConvTranspose(x, w) })");
  ASSERT_EQ(sites.layers.size(), 1u);
  EXPECT_EQ(sites.layers[0].reason, "");
  EXPECT_EQ(sites.layers[0].float_input, "no integer kernel on this target");
  EXPECT_EQ(sites.layers[0].channel_axis, 1);
  EXPECT_TRUE(sites.activations.empty());
  const QuantPlan plan = uniform_plan(sites, {8, 8});
  EXPECT_EQ(plan.layer("up")->activation_bits, kFloatBits);
}

TEST(CodeRegions, KnowWhichValuesMakeNoDifference) {
  const Sites sites = sites_of(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, 4, 4] x) => (float[n, 2, 4, 4] y)
<float[2, 2, 1, 1] w = {1.0, 2.0, 3.0, 4.0}>
{ a = Conv(x, w)  h = HardSwish(a)  b = Conv(h, w)  s = HardSigmoid <alpha = 0.5, beta = 0.5> (b)  y = Conv(s, w) })");
  ASSERT_TRUE(sites.activation("a")->sensitive);
  EXPECT_EQ(sites.activation("a")->sensitive->first, -3);
  EXPECT_EQ(sites.activation("b")->sensitive, std::make_pair(-1.0, 1.0));
  EXPECT_FALSE(sites.activation("h")->sensitive);
}

TEST(CodeRegions, ResizeMovesCodes) {
  const Sites sites = sites_of(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, 4, 4] x) => (float[n, 2, 8, 8] y)
<float[2, 2, 1, 1] w = {1.0, 2.0, 3.0, 4.0}, float[4] scales = {1.0, 1.0, 2.0, 2.0}>
{ a = Conv(x, w)  [up] u = Resize <mode = "nearest"> (a, , scales)  y = Conv(u, w) })");
  EXPECT_EQ(reason_of(sites, "up"), "");
  EXPECT_EQ(sites.activation("u")->shares_with, "a");
}

}  // namespace
}  // namespace qtool
