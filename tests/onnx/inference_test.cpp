#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;

const Value& value_named(const Graph& graph, std::string_view name) {
  return graph.value(graph.find(name));
}

TEST(OnnxInference, FillsInTypesAndShapes) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
    g (float[n, 3, 8, 8] x, float[4, 3, 3, 3] w) => (float[n, k] y) <int64[2] s = {0, -1}> {
      c = Conv(x, w)
      y = Reshape(c, s)
    })");
  infer_shapes(model);
  const Value& c = value_named(model.graph, "c");
  EXPECT_EQ(c.dtype, DType::kFloat);
  EXPECT_EQ(*c.shape, (Shape{-1, 4, 6, 6}));
  EXPECT_EQ(c.symbols[0], "n");
  EXPECT_FALSE(c.declared);
  const Value& y = value_named(model.graph, "y");
  EXPECT_EQ(*y.shape, (Shape{-1, 144}));
  EXPECT_EQ(y.symbols, (std::vector<std::string>{"n", ""}));
}

TEST(OnnxInference, PropagatesShapesAsData) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
    g (float[2, 3, 4] x) => (float[a, b] y) <int64[1] i = {1}, int64[1] m = {-1}> {
      s = Shape(x)
      d = Gather(s, i)
      t = Concat <axis = 0> (d, m)
      y = Reshape(x, t)
    })");
  infer_shapes(model);
  EXPECT_EQ(*value_named(model.graph, "y").shape, (Shape{3, 8}));
}

TEST(OnnxInference, ReachesGraphsInAttributes) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
    g (bool c, float[2] x) => (float[p] y) {
      y = If (c) < then_branch = inner () => (float[q] a) { t = Relu(x)  a = Neg(t) },
                   else_branch = other () => (float[r] b) { b = Relu(x) } > })");
  infer_shapes(model);
  const Graph& inner = *attr_graph(model.graph.nodes[0], "then_branch");
  EXPECT_EQ(*value_named(inner, "t").shape, (Shape{2}));
}

TEST(OnnxInference, WritesNoMoreThanWasDeclared) {
  Model model = parse_model(wire::model(small_graph()).bytes(), "test");
  const std::string before = serialize_model(model);
  infer_shapes(model);
  EXPECT_EQ(serialize_model(model), before);
}

TEST(OnnxInference, KeepsWhatIsKnownOfOddModels) {
  // Shapes that do not fit, an unknown operator, and a declared shape that is wrong.
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17, "com.example": 1]>
    g (float[2, 3] x, float[5] z) => (float[7] y) {
      a = Relu(x)
      b = Add(a, z)
      c = com.example.Odd(b)
      y = Relu(a)
    })");
  infer_shapes(model);
  EXPECT_EQ(*value_named(model.graph, "a").shape, (Shape{2, 3}));
  EXPECT_FALSE(value_named(model.graph, "c").shape);
  EXPECT_EQ(*value_named(model.graph, "y").shape, (Shape{7}));
}

TEST(OnnxInference, SurvivesAttributesWithoutSense) {
  for (const std::string odd :
       {"strides = [0, 0]", "group = 0", "dilations = [1099511627776, 1]", "pads = [-9, 0, 0, 0]",
        "strides = [-1, 2]", "kernel_shape = [0, 0]", "strides = [1]"}) {
    Model model = model_from_text(
        "<ir_version: 8, opset_import: [\"\": 17]> g (float[1, 3, 8, 8] x, float[4, 3, 3, 3] w) => "
        "(float[a, b, c, d] y) { y = Conv <" +
        odd + "> (x, w) }");
    EXPECT_NO_THROW(infer_shapes(model)) << odd;
  }
}

}  // namespace
}  // namespace qtool
