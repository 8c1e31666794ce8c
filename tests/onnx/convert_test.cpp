#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;

TEST(OnnxConvert, KeepsNamesWhereNodesAreReplaced) {
  Message graph;
  const Message scales = tensor("s", DType::kFloat, {4}, raw<float>({1, 1, 2, 2}));
  graph.text(1,
             node("Upsample", {"x", "s"}, {"t"}, "up").text(6, "doubles").text(9, entry("k", "v")));
  graph.text(1, node("Relu", {"t"}, {"y"}, "relu").text(6, "doc"))
      .text(2, "g")
      .text(5, scales)
      .text(10, "graph doc");
  graph.text(11, value_info("x", {1, 2, 3, 3}).text(3, "input doc"))
      .text(12, value_info("y", {1, 2, 6, 6}));
  graph.text(14, Message().text(1, "t").text(2, entry("SCALE_TENSOR", "s")))
      .text(16, entry("a", "b"));
  const Model before = parse_model(model(graph, 8, 9).text(14, entry("k", "v")).bytes(), "test");
  const Model after = convert_opset(before, 21);
  EXPECT_EQ(after.opset(), 21);
  EXPECT_EQ(after.metadata, before.metadata);
  EXPECT_EQ(after.graph.opaque, before.graph.opaque);
  const Node& up = after.graph.nodes.at(after.graph.nodes.size() - 2);
  EXPECT_EQ(up.type, "Resize");
  EXPECT_EQ(up.name, "up");
  EXPECT_EQ(attr_string(up, "coordinate_transformation_mode", ""), "asymmetric");
  EXPECT_EQ(attr_string(up, "nearest_mode", ""), "floor");
  EXPECT_EQ(up.opaque, before.graph.nodes[0].opaque);
  EXPECT_EQ(after.graph.value(up.outputs[0]).name, "t");
  EXPECT_EQ(after.graph.nodes.back().opaque, before.graph.nodes[1].opaque);
  EXPECT_EQ(after.graph.value(after.graph.inputs[0]).opaque,
            before.graph.value(before.graph.inputs[0]).opaque);
  check_model(after);
}

TEST(OnnxConvert, KeepsInitializersThatAreInputs) {
  Message graph;
  graph.text(1, node("Add", {"x", "w"}, {"t"}, "add"))
      .text(1, node("Unsqueeze", {"t"}, {"y"}, "unsqueeze")
                   .text(5, Message().text(1, "axes").number(8, 0).number(20, 7)));
  graph.text(2, "g").text(5, tensor("w", DType::kFloat, {2}, raw<float>({1, 2})));
  graph.text(11, value_info("x")).text(11, value_info("w")).text(12, value_info("y", {1, 2}));
  const Model after = convert_opset(parse_model(model(graph, 3, 8).bytes(), "test"), 21);
  EXPECT_EQ(after.ir_version, 3);
  EXPECT_EQ(after.graph.inputs.size(), 1 + after.graph.initializers.size());
  EXPECT_EQ(after.graph.constant(after.graph.find("w"))->data<float>()[1], 2);
  EXPECT_NE(after.graph.find("y"), ValueId::kNone);
  check_model(after);
}

TEST(OnnxConvert, DoesNotCopyLargeWeights) {
  const std::string data(8192, 'a');
  Message graph;
  graph.text(1, node("Add", {"x", "w"}, {"y"}, "add"))
      .text(2, "g")
      .text(5, tensor("w", DType::kFloat, {2048}, data).text(12, "doc"));
  graph.text(11, value_info("x", {2048})).text(12, value_info("y", {2048}));
  const Model before = parse_model(model(graph, 8, 11).bytes(), "test");
  const Model after = convert_opset(before, 17);
  const Initializer& old = before.graph.initializers.begin()->second;
  const Initializer& now = after.graph.initializers.begin()->second;
  EXPECT_TRUE(now.data.shares_bytes_with(old.data));
  EXPECT_EQ(now.opaque, old.opaque);
}

TEST(OnnxConvert, ConvertsGraphsInAttributes) {
  const Model before = model_from_text(R"(<ir_version: 8, opset_import: ["": 11]>
    g (bool c, float[2] x) => (float[1, 2] y) {
      y = If (c) < then_branch = inner () => (float[1, 2] a) { a = Unsqueeze <axes = [0]> (x) },
                   else_branch = other () => (float[1, 2] b) {
                     t = Relu(x)
                     b = Unsqueeze <axes = [0]> (t)
                   } > })");
  const Model after = convert_opset(before, 13);
  const Graph& inner = *attr_graph(after.graph.nodes[0], "then_branch");
  EXPECT_EQ(inner.nodes.back().inputs.size(), 2u);
  EXPECT_EQ(inner.nodes.back().name,
            attr_graph(before.graph.nodes[0], "then_branch")->nodes[0].name);
  check_model(after);
}

TEST(OnnxConvert, PutsFunctionsWhereTheyAreCalled) {
  const Model before = model_from_text(R"(<ir_version: 8, opset_import: ["": 17, "local": 1]>
    g (float[2] x) => (float[2] y) { y = local.Twice(x) }
    <domain: "local", opset_import: ["": 17]> Twice (a) => (b) { b = Add(a, a) })");
  const Model after = convert_opset(before, 21);
  EXPECT_EQ(after.graph.nodes[0].type, "Add");
  EXPECT_EQ(after.graph.value(after.graph.nodes[0].outputs[0]).name, "y");
  check_model(after);
}

TEST(OnnxConvert, LeavesAModelAloneThatIsThereAlready) {
  const Model before = parse_model(model(small_graph()).bytes(), "test");
  EXPECT_EQ(serialize_model(convert_opset(before, 17)), serialize_model(before));
}

TEST(OnnxConvert, SaysWhyItCannot) {
  Message graph;
  graph.text(1, node("Frobnicate", {"x"}, {"y"}, "n"))
      .text(2, "g")
      .text(11, value_info("x"))
      .text(12, value_info("y"));
  const Model odd = parse_model(model(graph, 8, 11).bytes(), "test");
  expect_refused(error_of([&] { convert_opset(odd, 17); }), "QT-E303", "from opset 11 to 17");
  const Model good = parse_model(model(small_graph()).bytes(), "test");
  expect_refused(error_of([&] { convert_opset(good, 9999); }), "QT-E303", "9999");
}

TEST(OnnxConvert, KeepsHowResizeFindsPixels) {
  const auto converted = [](const std::vector<float>& scales, std::string_view mode) {
    Message graph, made = node("Resize", {"x", "s"}, {"y"}, "resize");
    made.text(5, Message().text(1, "mode").text(4, mode).number(20, 3));
    graph.text(1, made).text(2, "g").text(5, tensor("s", DType::kFloat, {4}, raw(scales)));
    graph.text(11, value_info("x", {1, 2, 4, 4})).text(12, value_info("y", {1, 2, 2, 8}));
    return convert_opset(parse_model(model(graph, 8, 10).bytes(), "test"), 13).graph.nodes.back();
  };
  EXPECT_EQ(attr_string(converted({1, 1, 2, 3}, "nearest"), "nearest_mode", ""), "floor");
  EXPECT_EQ(attr_string(converted({1, 1, 0.5f, 0.5f}, "nearest"), "nearest_mode", ""), "ceil");
  expect_refused(error_of([&] {
                   converted({1, 1, 0.5f, 2}, "nearest");
                 }),
                 kUnsupportedCode, "node 'resize' (Resize)");
  const Node linear = converted({1, 1, 0.5f, 2}, "linear");
  EXPECT_EQ(attr_string(linear, "coordinate_transformation_mode", ""), "asymmetric");
}

TEST(OnnxConvert, RefusesWhatChangedItsMeaning) {
  Message graph;
  graph.text(1, node("Hardmax", {"x"}, {"y"}, "n")).text(2, "g");
  graph.text(11, value_info("x")).text(12, value_info("y"));
  const Model model = parse_model(wire::model(graph, 8, 11).bytes(), "test");
  expect_refused(error_of([&] { convert_opset(model, 13); }), kUnsupportedCode,
                 "node 'n' (Hardmax)");
  EXPECT_EQ(convert_opset(model, 12).opset(), 12);
}

}  // namespace
}  // namespace qtool
