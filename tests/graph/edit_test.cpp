#include <gtest/gtest.h>

#include "graph/graphs.hpp"

namespace qtool {
namespace {

TEST(Uses, KnowProducersConsumersAndOutputs) {
  Chain c;
  c.g.nodes[1].inputs = {c.a, c.a, ValueId::kNone};
  const Uses uses = uses_of(c.g);
  EXPECT_EQ(uses.producer[index(c.a)], 0);
  EXPECT_EQ(uses.producer[index(c.x)], -1);
  EXPECT_EQ(uses.consumers[index(c.a)], (std::vector<int32_t>{1, 1}));  // once per use
  EXPECT_TRUE(uses.consumers[index(c.w)].empty());
  EXPECT_TRUE(uses.is_output[index(c.y)]);
  EXPECT_FALSE(uses.is_output[index(c.a)]);
}

TEST(Uses, CountCapturesOfSubgraphs) {
  for (const bool nested : {false, true}) {
    const Branching b(nested);
    const Uses uses = uses_of(b.g);
    EXPECT_EQ(uses.consumers[index(b.a)], std::vector<int32_t>{1});
    EXPECT_EQ(captured_names(b.g.nodes[1]), std::vector<std::string>{"a"});
    EXPECT_TRUE(captured_names(b.g.nodes[0]).empty());
  }
}

TEST(AddValue, MakesNamesUnique) {
  Chain c;
  EXPECT_EQ(c.g.value(add_value(c.g, "new", DType::kInt8, Shape{2})).name, "new");
  EXPECT_EQ(c.g.value(add_value(c.g, "a")).name, "a_1");
  EXPECT_EQ(c.g.value(add_value(c.g, "a")).name, "a_2");
  EXPECT_EQ(c.g.value(add_value(c.g, "a_1")).name, "a_1_1");
  EXPECT_FALSE(c.g.value(add_value(c.g, "")).name.empty());
  EXPECT_EQ(failure_of([&] { verify(c.g); }), "");
}

TEST(AddValue, AvoidsNamesInsideSubgraphs) {
  Branching b;
  b.g.names = {};  // as after loading
  EXPECT_EQ(b.g.value(add_value(b.g, "inner_sum")).name, "inner_sum_1");
}

TEST(AddInitializer, KnowsTypeAndShape) {
  Chain c;
  const ValueId id = add_initializer(c.g, "w", Tensor(DType::kInt8, {2, 3}));
  EXPECT_EQ(c.g.value(id).name, "w_1");
  EXPECT_EQ(c.g.value(id).dtype, DType::kInt8);
  EXPECT_EQ(c.g.value(id).shape, (Shape{2, 3}));
  EXPECT_EQ(c.g.constant(id)->size(), 6);
}

TEST(MakeNode, MakesNamesUnique) {
  Chain c;
  const Node first = make_node(c.g, "Relu", "Relu", {c.x}, {c.a}, {{"k", int64_t{1}, ""}});
  EXPECT_EQ(first.name, "Relu_1");
  EXPECT_EQ(make_node(c.g, "Relu", "Relu", {}, {}).name, "Relu_2");  // the first one is promised
  EXPECT_EQ(make_node(c.g, "fresh", "Relu", {}, {}).name, "fresh");
  EXPECT_EQ(attr_int(first, "k", 0), 1);
  EXPECT_EQ(first.inputs, std::vector<ValueId>{c.x});
}

TEST(MakeNode, NamesOfRemovedNodesAreFree) {
  Chain c;
  remove_nodes(c.g, {0});
  EXPECT_EQ(make_node(c.g, "Relu", "Relu", {}, {}).name, "Relu");
}

TEST(ReplaceUses, ChangesInputsAndOutputs) {
  Chain c;
  replace_uses(c.g, c.a, c.x);
  EXPECT_EQ(c.g.nodes[1].inputs[0], c.x);
  replace_uses(c.g, c.y, c.a, OutputUses::kKeep);
  EXPECT_EQ(c.g.outputs[0], c.y);
  replace_uses(c.g, c.y, c.a);
  EXPECT_EQ(c.g.outputs[0], c.a);
  replace_uses(c.g, c.a, c.a);
  EXPECT_EQ(c.g.outputs[0], c.a);
}

TEST(ReplaceUses, FollowsChainsOfManyAtOnce) {
  Branching b;
  replace_uses(b.g, {{b.y, b.a}, {b.a, b.x}});
  EXPECT_EQ(b.g.outputs[0], b.x);
  EXPECT_EQ(captured_names(b.g.nodes[1]), std::vector<std::string>{"x"});
  EXPECT_NE(failure_of([&] { replace_uses(b.g, {{b.a, b.x}, {b.x, b.a}}); }), "");
}

TEST(ReplaceUses, ReachesSubgraphs) {
  for (const bool nested : {false, true}) {
    Branching b(nested);
    const Graph before = b.g;
    replace_uses(b.g, b.a, b.x);
    EXPECT_EQ(captured_names(b.g.nodes[1]), std::vector<std::string>{"x"});
    EXPECT_TRUE(uses_of(b.g).consumers[index(b.a)].empty());
    EXPECT_EQ(failure_of([&] { verify(b.g); }), "");
    EXPECT_EQ(captured_names(before.nodes[1]),
              std::vector<std::string>{"a"});  // copies are not touched
  }
}

TEST(ReplaceUses, MergesCapturesOfTheSameValue) {
  Graph body;
  const ValueId p = add_value(body, "p"), q = add_value(body, "q");
  body.captures = {p, q};
  body.outputs = {append(body, "Add", {p, q}, "sum")};
  Graph g;
  const ValueId x = input_of(g, "x");
  const ValueId first = append(g, "Relu", {x}, "p"), second = append(g, "Abs", {x}, "q");
  g.outputs = {
      append(g, "If", {x}, "y", {{"then_branch", std::make_shared<const Graph>(body), ""}})};
  replace_uses(g, first, second);
  const Graph& inner = *attr_graph(g.nodes[2], "then_branch");
  EXPECT_EQ(captured_names(g.nodes[2]), std::vector<std::string>{"q"});
  EXPECT_EQ(inner.nodes[0].inputs, (std::vector<ValueId>{q, q}));
  EXPECT_EQ(failure_of([&] { verify(g); }), "");
}

TEST(ReplaceUses, LocalNamesOfSubgraphsMakeRoom) {
  Branching b;
  b.g.value(b.x).name = "inner_sum";  // by hand, as a model might have it
  replace_uses(b.g, b.a, b.x);
  const Graph& inner = *attr_graph(b.g.nodes[1], "then_branch");
  EXPECT_EQ(inner.value(inner.captures[0]).name, "inner_sum");
  EXPECT_NE(inner.value(inner.outputs[0]).name, "inner_sum");
  EXPECT_EQ(failure_of([&] { verify(b.g); }), "");
}

TEST(RenameValue, RenamesCapturesToo) {
  Branching b(true);
  rename_value(b.g, b.a, "better");
  EXPECT_EQ(b.g.find("better"), b.a);
  EXPECT_EQ(b.g.find("a"), ValueId::kNone);
  EXPECT_EQ(captured_names(b.g.nodes[1]), std::vector<std::string>{"better"});
  EXPECT_EQ(failure_of([&] { verify(b.g); }), "");
  rename_value(b.g, b.x, "better");
  EXPECT_EQ(b.g.value(b.x).name, "better_1");
  rename_value(b.g, b.x, "a");  // free again
  EXPECT_EQ(b.g.value(b.x).name, "a");
}

TEST(RemoveNodes, KeepsTheOrderOfTheOthers) {
  Graph g;
  ValueId v = input_of(g, "x");
  for (int i = 0; i < 6; ++i) v = append(g, "Relu", {v}, cat("v", i));
  remove_nodes(g, {4, 0, 4});
  std::string names;
  for (const Node& node : g.nodes) names += node.name + " ";
  EXPECT_EQ(names, "Relu_1 Relu_2 Relu_3 Relu_5 ");
  remove_nodes(g, {});
  EXPECT_EQ(g.nodes.size(), 4u);
}

TEST(RemoveDead, RemovesWhatNoOutputNeeds) {
  Chain c;
  const ValueId unused = add_initializer(c.g, "unused", Tensor::scalar(1.0f));
  const ValueId dead = append(c.g, "Relu", {unused}, "dead");
  append(c.g, "Relu", {dead}, "deader");
  const ValueId spare = input_of(c.g, "spare");
  c.g.value(dead).declared = true;
  EXPECT_EQ(remove_dead(c.g), 2);
  EXPECT_EQ(c.g.nodes.size(), 2u);
  EXPECT_EQ(c.g.constant(unused), nullptr);
  EXPECT_NE(c.g.constant(c.w), nullptr);
  EXPECT_FALSE(c.g.value(dead).declared);
  EXPECT_EQ(c.g.inputs, (std::vector<ValueId>{c.x, spare}));
  EXPECT_EQ(remove_dead(c.g), 0);
}

TEST(RemoveDead, KeepsWhatSubgraphsRead) {
  Branching b(true);
  EXPECT_EQ(remove_dead(b.g), 0);
  EXPECT_EQ(b.g.nodes.size(), 2u);
}

TEST(RemoveDead, KeepsUnreadOutputsOfLiveNodes) {
  Graph g;
  const ValueId x = input_of(g, "x"), a = add_value(g, "a"), b = add_value(g, "b");
  g.value(b).declared = true;
  g.nodes.push_back(make_node(g, "split", "Split", {x, ValueId::kNone}, {a, ValueId::kNone, b}));
  g.outputs = {a};
  EXPECT_EQ(remove_dead(g), 0);
  EXPECT_TRUE(g.value(b).declared);
}

}  // namespace
}  // namespace qtool
