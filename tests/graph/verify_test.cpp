#include <gtest/gtest.h>

#include "graph/graphs.hpp"

namespace qtool {
namespace {

std::string failure_of_graph(const Graph& g) {
  return failure_of([&] { verify(g); });
}

bool fails_with(const Graph& g, const std::string& part) {
  const std::string message = failure_of_graph(g);
  return message.starts_with("QT-E330") && message.find(part) != std::string::npos;
}

TEST(Verify, AcceptsSoundGraphs) {
  EXPECT_EQ(failure_of_graph(Chain().g), "");
  EXPECT_EQ(failure_of_graph(Branching(true).g), "");
  EXPECT_EQ(failure_of_graph(Graph()), "");
}

TEST(Verify, AcceptsInitializersAsDefaultsOfInputs) {
  Chain c;
  c.g.inputs.push_back(c.w);
  EXPECT_EQ(failure_of_graph(c.g), "");
}

TEST(Verify, NamesTheCulprit) {
  Chain c;
  c.g.nodes[0].inputs = {ValueId(99)};
  EXPECT_TRUE(fails_with(c.g, "'Relu'"));
  c = {};
  c.g.nodes[1].outputs = {c.a};
  EXPECT_TRUE(fails_with(c.g, "'a' has two sources"));
  c = {};
  std::swap(c.g.nodes[0], c.g.nodes[1]);
  EXPECT_TRUE(fails_with(c.g, "before it is made"));
  c = {};
  c.g.nodes.pop_back();
  EXPECT_TRUE(fails_with(c.g, "output value 'y'"));
  c = {};
  c.g.initializers[ValueId(-5)] = {};
  EXPECT_TRUE(fails_with(c.g, "an initializer"));
  c = {};
  c.g.initializers[c.w].data = Tensor();
  EXPECT_TRUE(fails_with(c.g, "without data"));
  c = {};
  c.g.outputs.push_back(ValueId::kNone);
  EXPECT_TRUE(fails_with(c.g, "an output"));
  c = {};
  c.g.inputs.push_back(c.x);
  EXPECT_TRUE(fails_with(c.g, "'x' comes twice"));
}

TEST(Verify, WantsUniqueNames) {
  Chain c;
  c.g.value(c.a).name = "x";
  EXPECT_TRUE(fails_with(c.g, "two values are called 'x'"));
  c = {};
  c.g.value(c.a).name = "";
  EXPECT_TRUE(fails_with(c.g, "no name"));
  c = {};
  c.g.nodes[1].name = c.g.nodes[0].name;
  EXPECT_TRUE(fails_with(c.g, "taken"));
}

TEST(Verify, LooksIntoSubgraphs) {
  Branching b;
  rename_value(b.g, b.a, "other");
  set_attribute(b.g.nodes[1], "else_branch", doubling_body("nowhere"));
  EXPECT_TRUE(fails_with(b.g, "captures 'nowhere'"));
  set_attribute(b.g.nodes[1], "else_branch", doubling_body("y"));
  EXPECT_TRUE(fails_with(b.g, "before it is made"));
  Graph broken = *doubling_body("other");
  broken.nodes[0].inputs = {ValueId(50)};
  set_attribute(b.g.nodes[1], "else_branch", std::make_shared<const Graph>(broken));
  EXPECT_TRUE(fails_with(b.g, "refers to value 50"));
}

TEST(Dump, IsOneLineANode) {
  Chain c;
  set_attribute(c.g.nodes[0], "axis", int64_t{-1});
  set_attribute(c.g.nodes[0], "pads", std::vector<int64_t>(20, 1));
  EXPECT_EQ(dump(c.g),
            "graph chain(x: float32[1, ?]) -> (y)\n"
            "  w = float32[1]\n"
            "  a = Relu(x) {axis=-1, pads=[1, 1, 1, 1, 1, 1, 1, 1, …]}  # Relu\n"
            "  y = Add(a, w)  # Add\n");
}

TEST(Dump, ShowsSubgraphsAndHidesEscapes) {
  Branching b;
  b.g.nodes[0].name = "\x1b[2J";
  b.g.nodes[0].inputs.push_back(ValueId::kNone);
  const std::string text = dump(b.g);
  EXPECT_NE(text.find("      captures a\n"), std::string::npos) << text;
  EXPECT_NE(text.find("inner_sum = Add(a, a)"), std::string::npos) << text;
  EXPECT_NE(text.find("Relu(x, _)"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace qtool
