#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "support/random.hpp"

namespace qtool {
namespace {

Model spelled_out(const std::string& divisor) {
  return model_from_text(cat(R"(<ir_version: 8, opset_import: ["": 13]>
g (float[n, 5, 4] x) => (float[n, 5, 4] y)
<float two = {2.0}, float eps = {0.001}, float[4] w = {1.0, -2.0, 0.5, 3.0}, float[4] b = {0.0, 1.0, -1.0, 2.0}>
{ m = ReduceMean <axes = [-1]> (x)  d = Sub(x, m)  p = Pow(d, two)  v = ReduceMean <axes = [-1]> (p)
  a = Add(v, eps)  s = Sqrt(a)  q = Div()",
                             divisor, R"(, s)  g = Mul(q, w)  y = Add(g, b) })"));
}

TEST(FuseLayerNormalization, MakesOneNodeOfNine) {
  const Model model = spelled_out("d"), prepared = prepare(model);
  ASSERT_EQ(prepared.graph.nodes.size(), 1u);
  EXPECT_TRUE(is(prepared.graph.nodes[0], "LayerNormalization"));
  const Feed feed{{"x", test::normal({3, 5, 4}, 1)}};
  const Tensor have = Executor(prepared).run(feed)[0],
               want = Executor(model, {.backend = Backend::kReference, .observe = {}}).run(feed)[0];
  for (int64_t i = 0; i < want.size(); ++i) EXPECT_NEAR(have.number(i), want.number(i), 1e-5);
  EXPECT_EQ(Executor(model).step_count(), 1);
}

// Hardmax of opset 12 has no form in newer ones.
TEST(FuseLayerNormalization, LeavesModelsThatCannotBeConverted) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 12]>
g (float[n, 4] x) => (float[n, 4] z)
<float two = {2.0}, float eps = {0.001}, float[4] w = {1.0, -2.0, 0.5, 3.0}, float[4] b = {0.0, 1.0, -1.0, 2.0}>
{ m = ReduceMean <axes = [-1]> (x)  d = Sub(x, m)  p = Pow(d, two)  v = ReduceMean <axes = [-1]> (p)
  a = Add(v, eps)  s = Sqrt(a)  q = Div(d, s)  g = Mul(q, w)  y = Add(g, b)  z = Hardmax(y) })");
  const Tensor z = Executor(model).run({{"x", test::normal({3, 4}, 1)}})[0];
  for (int64_t row = 0; row < 3; ++row) {
    double sum = 0;
    for (int64_t k = 0; k < 4; ++k) sum += z.number(row * 4 + k);
    EXPECT_EQ(sum, 1);
  }
}

TEST(FuseLayerNormalization, LeavesOtherQuotientsAlone) {
  const Model prepared = prepare(spelled_out("x"));
  EXPECT_TRUE(std::ranges::none_of(
      prepared.graph.nodes, [](const Node& node) { return is(node, "LayerNormalization"); }));
  EXPECT_EQ(prepared.opset(), 13);
}

}  // namespace
}  // namespace qtool
