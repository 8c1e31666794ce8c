// Loading and saving again: what comes out is what went in, byte for byte.
#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;

void expect_kept(const Message& message) {
  const Model model = parse_model(message.bytes(), "test");
  EXPECT_EQ(serialize_model(model), message.bytes());
  EXPECT_EQ(serialize_model(parse_model(serialize_model(model), "again")), message.bytes());
}

// Text form → bytes → Model → bytes gives the same bytes once nodes have names.
void expect_text_kept(std::string_view text) {
  const std::string bytes = serialize_model(model_from_text(text));
  EXPECT_EQ(serialize_model(parse_model(bytes, "test")), bytes);
}

constexpr int kUnknown = 999;  // a field that no version of ONNX has

Message function() {
  return Message()
      .text(1, "Twice")
      .text(4, "a")
      .text(5, "b")
      .text(7, node("Add", {"a", "a"}, {"b"}))
      .text(9, opset("", 17))
      .text(10, "local");
}

TEST(OnnxWriter, KeepsEverythingAroundTheGraph) {
  Message message;
  message.number(1, 8)
      .text(2, "maker")
      .text(3, "1.2")
      .text(4, "org.example")
      .number(5, 42)
      .text(6, "a doc string");
  message.text(7, small_graph())
      .text(8, opset("ai.onnx.ml", 3))
      .text(8, opset("ai.onnx", 17))
      .text(8, opset("local", 1));
  message.text(14, entry("b", "2"))
      .text(14, entry("a", "1"))
      .text(20, Message().text(2, small_graph()));
  message.text(25, function())
      .text(26, Message().text(1, "devices").number(2, 2))
      .text(kUnknown, "new");
  expect_kept(message);
}

TEST(OnnxWriter, KeepsEverythingInTheGraph) {
  Message annotation = Message().text(1, "x").text(2, entry("SCALE_TENSOR", "s"));
  Message graph;
  graph.text(1, node("Add", {"x", "b"}, {"t"}, "add")
                    .text(6, "adds")
                    .text(7, "")
                    .text(9, entry("k", "v"))
                    .text(kUnknown, "n"));
  graph.text(1, node("Relu", {"t"}, {"y"}, "relu").text(7, "ai.onnx")).text(2, "g");
  graph.text(5, tensor("b", DType::kFloat, {2}, raw<float>({1, 2}))
                    .text(12, "bias")
                    .text(16, entry("k", "v"))
                    .text(kUnknown, "t"));
  graph.text(5, tensor("a", DType::kFloat, {2}, raw<float>({1, 2})));
  graph.text(10, "doc").text(
      11, value_info("x").text(3, "input doc").text(4, entry("k", "v")).text(kUnknown, "v"));
  graph.text(12, value_info("y")).text(13, value_info("unused")).text(13, value_info("t"));
  graph.text(14, annotation).text(16, entry("k", "v")).text(kUnknown, "g");
  expect_kept(model(graph));
}

TEST(OnnxWriter, KeepsKindsOfDimensionsAndTypes) {
  Message named = Message().text(2, "batch"), seen = Message().number(1, 3).text(3, "DATA_CHANNEL");
  Message shape =
      Message().text(1, named).text(1, Message()).text(1, Message().number(1, -1)).text(1, seen);
  Message plain = Message().text(1, Message().number(1, 1).text(2, shape)).text(6, "IMAGE");
  Message sequence = Message().text(4, Message().text(1, tensor_type(DType::kFloat, {2})));
  Message unranked = Message().text(1, Message().number(1, 1)),
          scalar = tensor_type(DType::kInt64, {});
  Message map = Message().text(5, Message().number(1, 7).text(2, scalar));
  Message graph;
  graph.text(1, node("Relu", {"x"}, {"y"}, "relu")).text(2, "g");
  int count = 0;
  for (const Message& type : {plain, sequence, unranked, scalar, map})
    graph.text(11, Message().text(1, count++ == 0 ? "x" : cat("v", count)).text(2, type));
  graph.text(11, Message().text(1, "typeless"));
  expect_kept(model(graph.text(12, value_info("y"))));
  const Model loaded = parse_model(model(graph).bytes(), "test");
  const Value& x = loaded.graph.value(loaded.graph.inputs[0]);
  EXPECT_EQ(*x.shape, (Shape{-1, -1, -1, 3}));
  EXPECT_EQ(x.symbols, (std::vector<std::string>{"batch", "", "", ""}));
  EXPECT_EQ(loaded.graph.value(loaded.graph.inputs[1]).dtype, DType::kUndefined);
}

TEST(OnnxWriter, KeepsKindsOfAttributes) {
  const Message weight =
      tensor("inner", DType::kInt8, {3}, raw<int8_t>({1, -2, 3})).text(12, "doc");
  const Message sparse = Message()
                             .text(1, tensor("", DType::kFloat, {1}, raw<float>({5})))
                             .text(2, tensor("", DType::kInt64, {1}, raw<int64_t>({1})))
                             .number(3, 4);
  const auto attribute = [](std::string_view name) { return Message().text(1, name); };
  Message made = node("Custom", {"x", "", "x"}, {"y", ""}, "custom");
  made.text(5, attribute("f").real(2, 0.1f).number(20, 1))
      .text(5, attribute("i").number(3, -5).number(20, 2));
  made.text(5, attribute("s").text(4, std::string("a\0b", 3)).text(13, "doc").number(20, 3));
  made.text(5, attribute("t").text(5, weight).number(20, 4).text(kUnknown, "a"));
  made.text(5, attribute("fs").real(7, 1).real(7, 2).number(20, 6))
      .text(5, attribute("is").number(8, 7).number(8, 8).number(20, 7));
  made.text(5, attribute("ss").text(9, "a").text(9, "").number(20, 8))
      .text(5, attribute("none").number(20, 7));
  made.text(
      5,
      attribute("ts").text(10, weight).text(10, tensor("", DType::kUint8, {1}, "a")).number(20, 9));
  made.text(5, attribute("tp").text(14, tensor_type(DType::kFloat, {1})).number(20, 13));
  made.text(5, attribute("sp").number(20, 11).text(22, sparse)).text(7, "com.example");
  Message graph;
  graph.text(1, made).text(2, "g").text(11, value_info("x")).text(12, value_info("y"));
  Message message = model(graph).text(8, opset("com.example", 1));
  const Model loaded = parse_model(message.bytes(), "test");
  const std::string written = serialize_model(loaded);
  EXPECT_EQ(written, serialize_model(parse_model(written, "again")));
  EXPECT_EQ(written, message.bytes());
  const Node& read = loaded.graph.nodes[0];
  EXPECT_EQ(attr_float(read, "f", 0), 0.1f);
  EXPECT_EQ(attr_string(read, "s", ""), std::string("a\0b", 3));
  EXPECT_EQ(attr_tensor(read, "t")->integer(1), -2);
  EXPECT_EQ(std::get<std::vector<Tensor>>(find_attribute(read, "ts")->value).size(), 2u);
  EXPECT_EQ(read.inputs[1], ValueId::kNone);
  EXPECT_EQ(read.outputs[1], ValueId::kNone);
}

TEST(OnnxWriter, KeepsGraphsInAttributes) {
  expect_text_kept(R"(<ir_version: 8, opset_import: ["": 17]>
    g (bool c, float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
      y = If (c) <
        then_branch = inner () => (float[2] a) { t = Add(x, w)  a = Relu(t) },
        else_branch = other () => (float[2] b) <float[2] k = {3, 4}> {
          b = If (c) < then_branch = deep () => (float[2] d) { d = Mul(k, w) },
                       else_branch = flat () => (float[2] e) { e = Identity(x) } > } > })");
}

TEST(OnnxWriter, KeepsInitializersThatAreInputs) {
  Message graph;
  graph.text(1, node("Add", {"x", "w"}, {"y"}, "add"))
      .text(2, "g")
      .text(5, tensor("w", DType::kFloat, {2}, raw<float>({1, 2})));
  graph.text(11, value_info("x")).text(11, value_info("w")).text(12, value_info("y"));
  expect_kept(model(graph, 3, 8));
}

Message sparse_weight(const std::vector<int64_t>& index_dims, const std::vector<int64_t>& indices) {
  return Message()
      .text(1, tensor("w", DType::kFloat, {2}, raw<float>({5, 6})))
      .text(2, tensor("i", DType::kInt64, index_dims, raw(indices)))
      .number(3, 2)
      .number(3, 3);
}

Message sparse_model(const Message& weight) {
  Message graph;
  graph.text(1, node("Add", {"x", "w"}, {"y"}, "add"))
      .text(2, "g")
      .text(11, value_info("x"))
      .text(12, value_info("y"));
  return model(graph.text(15, weight));
}

TEST(OnnxWriter, KeepsSparseWeightsUntilTheyChange) {
  for (const Message& weight : {sparse_weight({2}, {1, 5}), sparse_weight({2, 2}, {0, 1, 1, 2})}) {
    const Message message = sparse_model(weight);
    expect_kept(message);
    Model loaded = parse_model(message.bytes(), "test");
    Initializer& initializer = loaded.graph.initializers.begin()->second;
    const std::vector<float> dense = {0, 5, 0, 0, 0, 6};
    for (size_t i = 0; i < 6; ++i) EXPECT_EQ(initializer.data.data<float>()[i], dense[i]);
    initializer.data.mutable_data<float>()[0] = 9;
    const Model changed = parse_model(serialize_model(loaded), "changed");
    EXPECT_EQ(changed.graph.initializers.begin()->second.data.data<float>()[0], 9);
  }
}

TEST(OnnxWriter, RefusesSparseWeightsThatDoNotFit) {
  for (const Message& weight : {sparse_weight({2}, {1, 6}), sparse_weight({2}, {-1, 2}),
                                sparse_weight({2, 2}, {0, 1, 2, 0})})
    expect_refused(error_of_model(sparse_model(weight)), "QT-E310", "out of range");
  expect_refused(error_of_model(sparse_model(sparse_weight({3}, {1, 2, 3}))), "QT-E310",
                 "do not fit");
}

TEST(OnnxWriter, WritesTypesThatEditsChanged) {
  Model model = parse_model(wire::model(small_graph()).bytes(), "test");
  Value& y = model.graph.value(model.graph.outputs[0]);
  y.dtype = DType::kInt8;
  y.shape = Shape{-1, 7};
  y.symbols = {"n", ""};
  const Model again = parse_model(serialize_model(model), "again");
  const Value& read = again.graph.value(again.graph.outputs[0]);
  EXPECT_EQ(read.dtype, DType::kInt8);
  EXPECT_EQ(*read.shape, (Shape{-1, 7}));
  EXPECT_EQ(read.symbols[0], "n");
}

TEST(OnnxWriter, WritesAnAttributeThatChangedItsKind) {
  Message made = node("Custom", {"x"}, {"y"}, "custom");
  made.text(5,
            Message().text(1, "a").text(5, tensor("inner", DType::kInt8, {1}, "a")).number(20, 4));
  Message graph;
  graph.text(1, made).text(2, "g").text(11, value_info("x")).text(12, value_info("y"));
  Model loaded = parse_model(model(graph).bytes(), "test");
  set_attribute(loaded.graph.nodes[0], "a", int64_t{4});
  const Model again = parse_model(serialize_model(loaded), "again");
  EXPECT_EQ(attr_int(again.graph.nodes[0], "a", 0), 4);
}

TEST(OnnxWriter, WritesOpsetsAsTheModelHasThem) {
  Model loaded = parse_model(model(small_graph()).text(8, opset("gone", 2)).bytes(), "test");
  loaded.opsets = {{"", 18}, {"com.microsoft", 1}};
  const Model again = parse_model(serialize_model(loaded), "again");
  EXPECT_EQ(again.opsets, loaded.opsets);
}

}  // namespace
}  // namespace qtool
