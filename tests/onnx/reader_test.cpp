#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;

// A graph of these nodes from x to y.
Message graph_of(const std::vector<Message>& nodes) {
  Message graph;
  for (const Message& made : nodes) graph.text(1, made);
  return graph.text(2, "g").text(11, value_info("x")).text(12, value_info("y"));
}

Model read(const Message& graph) { return parse_model(model(graph).bytes(), "test"); }

void expect_refused_graph(const Message& graph, std::string_view code, std::string_view text) {
  expect_refused(error_of_model(model(graph)), code, text);
}

TEST(OnnxReader, NamesEveryNodeOnce) {
  const Model made =
      read(graph_of({node("Relu", {"x"}, {"a"}), node("Relu", {"a"}, {"b"}, "n"),
                     node("Relu", {"b"}, {"c"}, "n"), node("Relu", {"c"}, {"y"}, "Relu_0")}));
  std::vector<std::string> names;
  for (const Node& found : made.graph.nodes) names.push_back(found.name);
  EXPECT_EQ(names, (std::vector<std::string>{"Relu_0_", "n", "n_2", "Relu_0"}));
}

TEST(OnnxReader, KeepsOddNames) {
  const std::string odd("\x1b[31m\n\0=cmd()<b>../", 20);
  const Model made = read(graph_of({node("Relu", {"x"}, {odd}, odd), node("Relu", {odd}, {"y"})}));
  EXPECT_EQ(made.graph.nodes[0].name, odd);
  EXPECT_EQ(made.graph.value(made.graph.nodes[0].outputs[0]).name, odd);
  const Error error = error_of_model(model(graph_of({node("Relu", {odd}, {"y"}, odd)})));
  EXPECT_EQ(error.message().find('\x1b'), std::string::npos);
  EXPECT_EQ(error.message().find('\n'), std::string::npos);
}

TEST(OnnxReader, RefusesValuesThatAreMadeTwice) {
  const Message weight = tensor("x", DType::kFloat, {2}, raw<float>({1, 2}));
  expect_refused_graph(graph_of({node("Relu", {"x"}, {"y"}), node("Relu", {"x"}, {"y"})}),
                       "QT-E330", "'y' is made twice");
  expect_refused_graph(graph_of({node("Relu", {"x"}, {"x"})}), "QT-E330", "'x' is made twice");
  expect_refused_graph(graph_of({node("Split", {"x"}, {"y", "y"})}), "QT-E330",
                       "'y' is made twice");
  expect_refused_graph(small_graph(Message().text(11, value_info("x"))), "QT-E330",
                       "'x' is made twice");
  expect_refused_graph(small_graph(Message().text(5, weight).text(5, weight)), "QT-E330",
                       "'x' is made twice");
}

TEST(OnnxReader, RefusesDanglingValues) {
  expect_refused_graph(graph_of({node("Relu", {"nothing"}, {"y"}, "relu")}), "QT-E330",
                       "node 'relu' (Relu): value 'nothing' is used, but");
  expect_refused_graph(graph_of({node("Relu", {"x"}, {"z"})}), "QT-E330", "'y'");
  Message declared = graph_of({node("Relu", {"t"}, {"y"})});
  expect_refused_graph(declared.text(13, value_info("t")), "QT-E330", "'t'");
}

TEST(OnnxReader, RefusesCycles) {
  expect_refused_graph(graph_of({node("Add", {"x", "y"}, {"y"}, "loop")}), "QT-E330", "");
  expect_refused_graph(graph_of({node("Add", {"x", "y"}, {"t"}), node("Relu", {"t"}, {"y"})}),
                       "QT-E330", "");
}

TEST(OnnxReader, SortsNodes) {
  const Model made =
      read(graph_of({node("Relu", {"t"}, {"y"}, "second"), node("Relu", {"x"}, {"t"}, "first")}));
  EXPECT_EQ(made.graph.nodes[0].name, "first");
}

TEST(OnnxReader, RefusesNodesWithoutTypeOrOutput) {
  expect_refused_graph(graph_of({node("Relu", {"x"}, {"y"}), node("", {"x"}, {"t"}, "n")}),
                       "QT-E330", "no operator type");
  expect_refused_graph(graph_of({node("Relu", {"x"}, {"y"}), node("Relu", {"x"}, {})}), "QT-E330",
                       "no outputs");
  expect_refused_graph(graph_of({node("Relu", {"x"}, {"y"}), node("Relu", {"x"}, {""})}), "QT-E330",
                       "no outputs");
}

TEST(OnnxReader, RefusesEmptyNames) {
  expect_refused_graph(small_graph(Message().text(11, value_info(""))), "QT-E330", "no name");
  expect_refused_graph(small_graph(Message().text(12, value_info(""))), "QT-E330", "no name");
  expect_refused_graph(small_graph(Message().text(5, tensor("", DType::kFloat, {1}, "abcd"))),
                       "QT-E330", "no name");
}

TEST(OnnxReader, RefusesUnknownDomains) {
  expect_refused_graph(graph_of({node("Relu", {"x"}, {"y"}, "n").text(7, "com.example")}),
                       "QT-E303", "'com.example'");
}

TEST(OnnxReader, ReadsBothSpellingsOfTheDefaultDomain) {
  EXPECT_EQ(read(graph_of({node("Relu", {"x"}, {"y"}).text(7, "ai.onnx")})).graph.nodes[0].domain,
            "");
}

TEST(OnnxReader, RefusesAttributesOfTheWrongKind) {
  const auto refuse = [](const Message& attribute, std::string_view text) {
    expect_refused_graph(graph_of({node("Relu", {"x"}, {"y"}, "n").text(5, attribute)}), "QT-E312",
                         text);
  };
  const auto attribute = [] { return Message().text(1, "a"); };
  refuse(attribute().real(2, 1).number(20, 2),
         "node 'n' (Relu): attribute 'a': its type is INT, its value is FLOAT");
  refuse(attribute().real(2, 1).number(3, 1).number(20, 1), "more than one value");
  refuse(attribute(), "neither a type nor a value");
  refuse(attribute().number(20, 4), "missing");
  refuse(attribute().number(20, 5), "missing");
  refuse(attribute().number(20, 2).text(21, "alpha"), "refers to an attribute");
  refuse(Message().number(3, 1).number(20, 2), "no name");
}

TEST(OnnxReader, ReadsAttributesThatLeaveOutTheirTypeOrZero) {
  const Message made = node("Relu", {"x"}, {"y"})
                           .text(5, Message().text(1, "a").number(3, 7))
                           .text(5, Message().text(1, "b").number(20, 2));
  const Model loaded = read(graph_of({made}));
  EXPECT_EQ(attr_int(loaded.graph.nodes[0], "a", 0), 7);
  EXPECT_EQ(attr_int(loaded.graph.nodes[0], "b", 1), 0);
}

TEST(OnnxReader, RefusesAttributesThatAreGivenTwice) {
  const Message attribute = Message().text(1, "a").number(3, 7).number(20, 2);
  expect_refused_graph(graph_of({node("Relu", {"x"}, {"y"}).text(5, attribute).text(5, attribute)}),
                       "QT-E312", "twice");
}

TEST(OnnxReader, RefusesInitializersThatContradictTheirDeclaration) {
  const auto graph = [](const Message& weight) {
    Message made = graph_of({node("Add", {"x", "w"}, {"y"})});
    return made.text(11, value_info("w", {2})).text(5, weight);
  };
  EXPECT_EQ(read(graph(tensor("w", DType::kFloat, {2}, raw<float>({1, 2})))).graph.inputs.size(),
            2u);
  expect_refused_graph(graph(tensor("w", DType::kInt32, {2}, raw<int32_t>({1, 2}))), "QT-E330",
                       "is declared float32[2]");
  expect_refused_graph(graph(tensor("w", DType::kFloat, {1}, raw<float>({1}))), "QT-E330",
                       "is declared float32[2]");
}

TEST(OnnxReader, FillsOpenDeclarationsFromSecondOnes) {
  Message graph;
  graph.text(1, node("Relu", {"x"}, {"y"}))
      .text(2, "g")
      .text(11, value_info("x"))
      .text(12, Message().text(1, "y"));
  const Model loaded = read(graph.text(13, value_info("y")));
  EXPECT_EQ(*loaded.graph.value(loaded.graph.outputs[0]).shape, (Shape{2}));
}

TEST(OnnxReader, RefusesUnknownTypesOfValues) {
  expect_refused_graph(
      small_graph(Message().text(13, value_info("t", {1}, static_cast<DType>(77)))), "QT-E310",
      "declaration of value 't'");
}

TEST(OnnxReader, ListsWhatInnerGraphsCapture) {
  const Model loaded = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
    g (bool c, float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
      t = Relu(x)
      y = If (c) <
        then_branch = inner () => (float[2] a) {
          a = If (c) < then_branch = deep () => (float[2] d) { d = Mul(t, w) },
                       else_branch = flat () => (float[2] x) { } > },
        else_branch = other () => (float[2] b) { b = Identity(x) } > })");
  const Node& branch = loaded.graph.nodes[1];
  const Graph& inner = *attr_graph(branch, "then_branch");
  std::vector<std::string> names;
  for (const ValueId id : inner.captures) names.push_back(inner.value(id).name);
  EXPECT_EQ(names, (std::vector<std::string>{"c", "t", "w", "x"}));
  const Graph& deep = *attr_graph(inner.nodes[0], "then_branch");
  EXPECT_EQ(deep.captures.size(), 2u);
}

TEST(OnnxReader, OrdersNodesByWhatInnerGraphsCapture) {
  const Message inner =
      Message().text(1, node("Relu", {"t"}, {"b"})).text(2, "inner").text(12, value_info("b"));
  const Message branch = Message().text(1, "then_branch").text(6, inner).number(20, 5);
  const Model loaded = read(graph_of(
      {node("If", {"x"}, {"y"}, "if").text(5, branch), node("Relu", {"x"}, {"t"}, "first")}));
  EXPECT_EQ(loaded.graph.nodes[0].name, "first");
  expect_refused_graph(graph_of({node("If", {"x"}, {"y", "t"}, "if").text(5, branch)}), "QT-E330",
                       "");
}

}  // namespace
}  // namespace qtool
