#include <gtest/gtest.h>

#include "graph/graphs.hpp"

namespace qtool {
namespace {

Node node_with_attributes() {
  Node node;
  node.name = "conv1";
  node.type = "Conv";
  set_attribute(node, "group", int64_t{4});
  set_attribute(node, "alpha", 0.5f);
  set_attribute(node, "mode", std::string("same"));
  set_attribute(node, "pads", std::vector<int64_t>{1, 2});
  set_attribute(node, "scales", std::vector<float>{1, 2.5f});
  set_attribute(node, "value", Tensor::scalar(3.0f));
  set_attribute(node, "body", doubling_body("a"));
  return node;
}

TEST(Attributes, AreReadByKind) {
  const Node node = node_with_attributes();
  EXPECT_EQ(attr_int(node, "group", 1), 4);
  EXPECT_EQ(attr_float(node, "alpha", 1), 0.5f);
  EXPECT_EQ(attr_string(node, "mode", ""), "same");
  EXPECT_EQ(attr_ints(node, "pads"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(attr_floats(node, "scales"), (std::vector<float>{1, 2.5f}));
  EXPECT_EQ(attr_tensor(node, "value")->number(0), 3);
  EXPECT_EQ(attr_graph(node, "body")->name, "body");
}

TEST(Attributes, AbsentOnesGiveTheDefault) {
  const Node node;
  EXPECT_EQ(attr_int(node, "group", 7), 7);
  EXPECT_EQ(attr_float(node, "alpha", 7), 7);
  EXPECT_EQ(attr_string(node, "mode", "x"), "x");
  EXPECT_EQ(attr_ints(node, "pads", {5}), std::vector<int64_t>{5});
  EXPECT_EQ(attr_floats(node, "scales"), std::vector<float>{});
  EXPECT_EQ(attr_tensor(node, "value"), nullptr);
  EXPECT_EQ(attr_graph(node, "body"), nullptr);
  EXPECT_EQ(find_attribute(node, "any"), nullptr);
}

TEST(Attributes, OfAnotherKindAreErrorsThatNameTheNode) {
  const Node node = node_with_attributes();
  const std::string message = failure_of([&] { attr_int(node, "mode", 1); });
  EXPECT_EQ(message, "QT-E332 node 'conv1' (Conv): attribute 'mode' is not an integer");
  EXPECT_NE(failure_of([&] { attr_float(node, "group", 1); }), "");
  EXPECT_NE(failure_of([&] { attr_ints(node, "group"); }), "");
  EXPECT_NE(failure_of([&] { attr_tensor(node, "group"); }), "");
  EXPECT_NE(failure_of([&] { attr_graph(node, "group"); }), "");
}

TEST(Attributes, AreSetAndRemoved) {
  Node node = node_with_attributes();
  const size_t count = node.attributes.size();
  set_attribute(node, "group", int64_t{9});
  EXPECT_EQ(node.attributes.size(), count);
  EXPECT_EQ(attr_int(node, "group", 1), 9);
  remove_attribute(node, "group");
  remove_attribute(node, "absent");
  EXPECT_EQ(node.attributes.size(), count - 1);
  EXPECT_EQ(attr_int(node, "group", 1), 1);
}

TEST(Nodes, AreKnownByTypeAndDomain) {
  Node node;
  node.name = "n\x1b";
  node.type = "Conv";
  EXPECT_TRUE(is(node, "Conv"));
  EXPECT_FALSE(is(node, "Gemm"));
  EXPECT_FALSE(is(node, "Conv", "com.microsoft"));
  EXPECT_EQ(node_text(node), "node 'n\\x1b' (Conv)");
  node.domain = "com.microsoft";
  EXPECT_FALSE(is(node, "Conv"));
  EXPECT_EQ(node_text(node), "node 'n\\x1b' (com.microsoft.Conv)");
}

TEST(Graphs, FindValuesAndConstants) {
  const Chain c;
  EXPECT_EQ(c.g.find("a"), c.a);
  EXPECT_EQ(c.g.find("absent"), ValueId::kNone);
  EXPECT_EQ(c.g.value(c.a).name, "a");
  EXPECT_EQ(c.g.constant(c.w)->number(0), 2);
  EXPECT_EQ(c.g.constant(c.a), nullptr);
}

TEST(Graphs, FindValuesThatWereAddedByHand) {
  Chain c;
  c.g.values.emplace_back().name = "late";
  EXPECT_EQ(index(c.g.find("late")), c.g.values.size() - 1);
  add_value(c.g, "later");
  EXPECT_EQ(index(c.g.find("late")), c.g.values.size() - 2);
}

TEST(Models, KnowTheirOpsets) {
  Model model;
  model.opsets = {{"", 17}, {"com.microsoft", 1}};
  EXPECT_EQ(model.opset(), 17);
  EXPECT_EQ(model.opset("com.microsoft"), 1);
  EXPECT_EQ(model.opset("other"), 0);
}

}  // namespace
}  // namespace qtool
