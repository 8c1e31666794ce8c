#include <gtest/gtest.h>

#include "graphs.hpp"
#include "qtool/graph.hpp"

namespace qtool {
namespace {

// y = Neg(Abs(a)), z = b; b is captured.
Graph inner() {
  Graph g;
  const ValueId a = add_value(g, "a"), t = add_value(g, "t"), y = add_value(g, "y"),
                b = add_value(g, "b");
  g.inputs = {a};
  g.captures = {b};
  g.outputs = {y, b};
  g.nodes.push_back(make_node(g, "abs", "Abs", {a}, {t}));
  g.nodes.push_back(make_node(g, "neg", "Neg", {t}, {y}));
  return g;
}

TEST(Splice, TakesThePlaceOfANode) {
  Graph g;
  const ValueId x = add_value(g, "x"), b = add_value(g, "b"), t = add_value(g, "t"),
                out = add_value(g, "out"), same = add_value(g, "same");
  g.inputs = {x, b};
  g.outputs = {out, same, t};
  g.nodes.push_back(make_node(g, "t", "Relu", {x}, {t}));
  splice(g, inner(), {t}, {out, same}, "p/");
  sort_nodes(g);
  verify(g);
  ASSERT_EQ(g.nodes.size(), 4u);
  EXPECT_EQ(g.nodes[1].name, "p/abs");
  EXPECT_EQ(g.nodes[1].inputs, std::vector<ValueId>{t});
  EXPECT_EQ(g.value(g.nodes[1].outputs[0]).name, "p/t");
  EXPECT_EQ(g.nodes[2].outputs, std::vector<ValueId>{out});
  EXPECT_EQ(g.nodes[3].type, "Identity");  // an output that the graph does not make itself
  EXPECT_EQ(g.nodes[3].inputs, std::vector<ValueId>{b});
}

TEST(Splice, RenamesWhatInnerGraphsCapture) {
  Graph around;
  const ValueId x = add_value(around, "x"), taken = add_value(around, "t"),
                out = add_value(around, "out");
  around.inputs = {x, taken};
  around.outputs = {out};
  Graph body;  // reads t of the graph that is spliced
  const ValueId t = add_value(body, "t"), r = add_value(body, "r");
  body.captures = {t};
  body.outputs = {r};
  body.nodes.push_back(make_node(body, "n", "Neg", {t}, {r}));
  Graph middle;
  const ValueId a = add_value(middle, "a"), mt = add_value(middle, "t"), y = add_value(middle, "y");
  middle.inputs = {a};
  middle.outputs = {y};
  middle.nodes.push_back(make_node(middle, "abs", "Abs", {a}, {mt}));
  middle.nodes.push_back(make_node(middle, "if", "If", {a}, {y}));
  set_attribute(middle.nodes[1], "then_branch", std::make_shared<const Graph>(body));
  splice(around, middle, {x}, {out});
  verify(around);
  const std::string& now = around.value(around.nodes[0].outputs[0]).name;
  EXPECT_NE(now, "t");
  EXPECT_EQ(captured_names(around.nodes[1]), std::vector<std::string>{now});
}

TEST(Splice, LeavesAbsentInputsOut) {
  Graph g;
  const ValueId out = add_value(g, "out"), b = add_value(g, "b");
  g.inputs = {b};
  g.outputs = {out};
  splice(g, inner(), {ValueId::kNone}, {out, ValueId::kNone});
  EXPECT_EQ(g.nodes[0].inputs, std::vector<ValueId>{ValueId::kNone});
  EXPECT_EQ(g.nodes.size(), 2u);
}

}  // namespace
}  // namespace qtool
