#include <gtest/gtest.h>

#include <algorithm>

#include "graph/graphs.hpp"

namespace qtool {
namespace {

std::string order_of(const Graph& g) {
  std::string names;
  for (const Node& node : g.nodes) names += node.name + " ";
  return names;
}

TEST(SortNodes, KeepsAnOrderThatIsFine) {
  Chain c;
  const std::string before = order_of(c.g);
  sort_nodes(c.g);
  EXPECT_EQ(order_of(c.g), before);
}

TEST(SortNodes, MovesOnlyWhatMustMove) {
  Graph g;
  const ValueId x = input_of(g, "x");
  const ValueId a = append(g, "A", {x}, "a"), b = append(g, "B", {x}, "b");
  const ValueId c = append(g, "C", {a}, "c");
  g.outputs = {append(g, "D", {b, c}, "d")};
  std::reverse(g.nodes.begin(), g.nodes.end());
  sort_nodes(g);
  EXPECT_EQ(order_of(g), "B A C D ");
  EXPECT_EQ(failure_of([&] { verify(g); }), "");
}

TEST(SortNodes, RespectsCaptures) {
  Branching b(true);
  std::swap(b.g.nodes[0], b.g.nodes[1]);
  sort_nodes(b.g);
  EXPECT_EQ(order_of(b.g), "Relu If ");
}

TEST(SortNodes, NamesANodeOfACycle) {
  Graph g;
  const ValueId x = input_of(g, "x"), a = add_value(g, "a"), b = add_value(g, "b"),
                c = add_value(g, "c");
  g.nodes = {make_node(g, "after", "Relu", {b}, {c}), make_node(g, "one", "Add", {x, b}, {a}),
             make_node(g, "two", "Relu", {a}, {b})};
  const std::string message = failure_of([&] { sort_nodes(g); });
  EXPECT_EQ(message.substr(0, 8), "QT-E330 ");
  EXPECT_TRUE(message.find("'one'") != std::string::npos ||
              message.find("'two'") != std::string::npos)
      << message;
  g.nodes = {make_node(g, "self", "Relu", {a}, {a})};
  EXPECT_NE(failure_of([&] { sort_nodes(g); }).find("'self'"), std::string::npos);
}

TEST(Scale, AHundredThousandNodesAreQuick) {
  constexpr int kNodes = 100000;
  const double start = now_seconds();
  Graph g;
  ValueId v = input_of(g, "x");
  const ValueId x = v;
  for (int i = 0; i < kNodes; ++i) v = append(g, "Relu", {v, x}, "v");
  g.outputs = {v};
  std::reverse(g.nodes.begin(), g.nodes.end());
  sort_nodes(g);
  verify(g);
  EXPECT_EQ(remove_dead(g), 0);
  EXPECT_EQ(g.find("v_777"), ValueId(778));
  EXPECT_FALSE(dump(g).empty());
  EXPECT_LT(now_seconds() - start, 10);  // a tenth of it where the machine is idle
}

}  // namespace
}  // namespace qtool
