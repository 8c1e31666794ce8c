#include <gtest/gtest.h>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/ops.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

std::vector<std::string> types(const Model& model) {
  std::vector<std::string> found;
  for (const Node& node : model.graph.nodes) found.push_back(node.type);
  return found;
}

TEST(Branches, OfAConstantConditionAreInlined) {
  const Model m = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x) => (float[n] y) <int64 rate = {16000}, int64 wide = {16000}>
{
  is_wide = Equal(rate, wide)
  s = Relu(x)
  i = Identity(s)
  y = If (is_wide) <
    then_branch = a () => (float[n] ya) { t = Neg(i) ya = Abs(t) },
    else_branch = b () => (float[n] yb) { yb = Sqrt(i) }>
})"));
  EXPECT_EQ(types(m), (std::vector<std::string>{"Relu", "Neg", "Abs"}));
  EXPECT_EQ(m.graph.value(m.graph.nodes[1].outputs[0]).name, "t");
  EXPECT_EQ(m.graph.value(m.graph.outputs[0]).name, "y");
}

TEST(Branches, ThatMayBeTakenStay) {
  const Model m = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x, bool c) => (float[n] y)
{
  s = Relu(x)
  i = Identity(s)
  y = If (c) <then_branch = a () => (float[n] ya) { ya = Neg(i) },
              else_branch = b () => (float[n] yb) { yb = Sqrt(i) }>
})"));
  EXPECT_EQ(types(m), (std::vector<std::string>{"Relu", "If"}));
  EXPECT_EQ(captured_names(m.graph.nodes[1]), std::vector<std::string>{"s"});
}

TEST(Constants, LoopsOverConstantsAreFolded) {
  const Model m = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x) => (float[n] y) <int64 three = {3}, bool go = {1}, float start = {1.0}, float two = {2.0}>
{
  power = Loop (three, go, start) <
    body = b (int64 i, bool c, float s) => (bool more, float next) {
      next = Mul(s, two)
      more = Identity(c)
    }>
  y = Mul(x, power)
})"));
  ASSERT_EQ(types(m), std::vector<std::string>{"Mul"});
  EXPECT_FLOAT_EQ(m.graph.constant(m.graph.nodes[0].inputs[1])->data<float>()[0], 8);
}

TEST(Shapes, ThatAreDeclaredChooseBranches) {
  const Model m = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2] x) => (float[n, m] y, int64 rows) <int64 one = {1}, int64 zero = {0}, int64 two = {2}>
{
  s = Shape(x)
  columns = Gather(s, one)
  rows = Gather(s, zero)
  pair = Equal(columns, two)
  y = If (pair) <then_branch = a () => (float[n, m] ya) { ya = Neg(x) },
                 else_branch = b () => (float[n, m] yb) { yb = Sqrt(x) }>
})"));
  EXPECT_EQ(types(m), (std::vector<std::string>{"Shape", "Gather", "Neg"}));
}

constexpr const char* kOwnFunction = R"(<ir_version: 8, opset_import: ["": 17, "mine": 1]>
g (float[n] x) => (float[n] y)
{
  s = mine.scaled <by = 3.0> (x)
  y = mine.scaled(s)
}
<domain: "mine", opset_import: ["": 17]>
scaled <by: float = 2.0> (a) => (b)
{
  f = Constant <value_float: float = @by> ()
  b = Mul(a, f)
})";

TEST(Functions, OfTheModelAreInlined) {
  const Model model = model_from_text(kOwnFunction);
  EXPECT_EQ(types(prepare(model)), (std::vector<std::string>{"Mul", "Mul"}));
  const Tensor y = Executor(model).run({{"x", Tensor::of<float>({1}, {1})}})[0];
  EXPECT_FLOAT_EQ(y.data<float>()[0], 6);
}

// Two steps of a causal convolution of width 2 that remembers the last sample.
TEST(Functions, ThatDefineOperatorsAreExpanded) {
  const Model model = model_from_text(R"(<ir_version: 13, opset_import: ["": 27]>
g (float[1, 1, 2] x, float[1, 1, 1] past) => (float[1, 1, 2] y, float[1, 1, 1] present)
<float[1, 1, 2] w = {10.0, 1.0}>
{ y, present = CausalConvWithState(x, w, , past) })");
  ASSERT_EQ(find_op("CausalConvWithState", "", 27), nullptr);
  const auto y = Executor(model).run(
      {{"x", Tensor::of<float>({1, 1, 2}, {1, 2})}, {"past", Tensor::of<float>({1, 1, 1}, {3})}});
  EXPECT_FLOAT_EQ(y[0].data<float>()[0], 31);
  EXPECT_FLOAT_EQ(y[0].data<float>()[1], 12);
  EXPECT_FLOAT_EQ(y[1].data<float>()[0], 2);
}

TEST(SelectorInputs, AreThoseThatOnlyChooseABranch) {
  const auto found = selector_inputs(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x, int64 rate, int64 unused, int64 shift) => (float[n] y, int64 z)
<int64 wide = {16000}, int64 narrow = {8000}, int64 zero = {0}>
{
  a = Equal(rate, wide)
  b = Equal(rate, narrow)
  c = Not(b)
  d = And(a, c)
  y = If (d) <then_branch = p () => (float[n] yp) { yp = Neg(x) },
              else_branch = q () => (float[n] yq) { yq = Abs(x) }>
  dead = Mul(unused, zero)
  z = Add(shift, dead)
})"));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "rate");
  EXPECT_EQ(found[0].compared, (std::vector<int64_t>{8000, 16000}));
  EXPECT_EQ(found[1].name, "unused");
  EXPECT_TRUE(found[1].unread);
}

}  // namespace
}  // namespace qtool
