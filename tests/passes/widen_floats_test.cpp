// Models in float16.
#include <gtest/gtest.h>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/output_types.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

TEST(WidenFloats, KeepsTheModelsInterface) {
  Model before = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float16[n, 2] x, bool c, float16[2, 2] w) => (float16[n, 2] y, float16[n, 2] z)
{ y = MatMul(x, w)
  z = If (c) <then_branch = a () => (float16[n, 2] za) { za = Neg(y) },
              else_branch = b () => (float16[n, 2] zb) { k = Constant <value_float = 0.5> ()  half = Cast <to = 10> (k)  zb = Mul(y, half) }> })");
  before.graph.initializers[before.graph.inputs[2]].data =
      cast(Tensor::of<float>({2, 2}, {1, 2, 3, 4}), DType::kFloat16);
  Model m = prepare(before);
  EXPECT_EQ(m.graph.value(m.graph.outputs[0]).dtype, DType::kFloat);
  EXPECT_TRUE(restore_output_types(m, output_types(before)));
  verify(m.graph);
  EXPECT_EQ(m.graph.value(m.graph.inputs[0]).dtype, DType::kFloat16);
  EXPECT_EQ(m.graph.value(m.graph.outputs[0]).dtype, DType::kFloat16);
  EXPECT_EQ(m.graph.constant(m.graph.find("w"))->dtype(), DType::kFloat);
  const Tensor x = cast(Tensor::of<float>({1, 2}, {1, 1}), DType::kFloat16);
  const std::vector<Tensor> out = Executor(m).run({{"x", x}, {"c", Tensor::of<bool>({}, {false})}});
  EXPECT_EQ(out[0].dtype(), DType::kFloat16);
  EXPECT_EQ(out[0].number(0), 4);
  EXPECT_EQ(out[1].number(1), 3);
}

TEST(WidenFloats, LeavesOtherModelsAlone) {
  const Model m = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (double[n] x) => (double[n] y) { y = Neg(x) })"));
  EXPECT_EQ(m.graph.nodes.size(), 1u);
}

}  // namespace
}  // namespace qtool
