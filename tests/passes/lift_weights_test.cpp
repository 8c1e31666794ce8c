#include <gtest/gtest.h>

#include <algorithm>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

TEST(LiftWeights, TakesThemOutOfNestedBodies) {
  const Model before = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2] x, bool c, int64 steps) => (float[n, 2] y) <bool go = {1}>
{ [choose] y = If (c) <
    then_branch = a () => (float[n, 2] ya) {
      [loop] ya = Loop (steps, go, x) <body = b (int64 i, bool k, float[n, 2] s) => (bool more, float[n, 2] next)
        <float[2, 2] m = {1.0, 2.0, 3.0, 4.0}> { t = Transpose(m)  next = MatMul(s, t)  more = Identity(k) }> },
    else_branch = b2 () => (float[n, 2] yb) { yb = Neg(x) }> })");
  const Model m = prepare(before);
  ASSERT_EQ(m.graph.nodes.size(), 1u);
  const Tensor* weight = nullptr;
  for (const std::string& name : captured_names(m.graph.nodes[0])) {
    const Tensor* found = m.graph.constant(m.graph.find(name));
    if (found && found->rank() == 2) weight = found;
  }
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->number(1), 3);  // transposed
  const Feed feed = {{"x", Tensor::of<float>({1, 2}, {1, 2})},
                     {"c", Tensor::of<bool>({}, {true})},
                     {"steps", Tensor::scalar<int64_t>(2)}};
  const Tensor want = Executor(before).run(feed)[0], have = Executor(m).run(feed)[0];
  for (int64_t i = 0; i < 2; ++i) EXPECT_FLOAT_EQ(want.number(i), have.number(i));
}

TEST(LiftWeights, ReachesWhatInnerBodiesCaptureFromOuterOnes) {
  const Model m = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2] x, bool c, int64 steps) => (float[n, 2] y) <bool go = {1}>
{ [choose] y = If (c) <
    then_branch = a () => (float[n, 2] ya) <float[2, 2] m = {1.0, 2.0, 3.0, 4.0}> {
      [loop] ya = Loop (steps, go, x) <body = b (int64 i, bool k, float[n, 2] s) => (bool more, float[n, 2] next)
        { t = Transpose(m)  next = MatMul(s, t)  more = Identity(k) }> },
    else_branch = b2 () => (float[n, 2] yb) { yb = Neg(x) }> })"));
  const auto captured = captured_names(m.graph.nodes[0]);
  EXPECT_TRUE(std::ranges::any_of(captured, [&](const std::string& name) {
    const Tensor* found = m.graph.constant(m.graph.find(name));
    return found && found->rank() == 2 && found->number(1) == 3;  // transposed
  }));
  const Feed feed = {{"x", Tensor::of<float>({1, 2}, {1, 2})},
                     {"c", Tensor::of<bool>({}, {true})},
                     {"steps", Tensor::scalar<int64_t>(1)}};
  EXPECT_FLOAT_EQ(static_cast<float>(Executor(m).run(feed)[0].number(0)), 5);
}

}  // namespace
}  // namespace qtool
