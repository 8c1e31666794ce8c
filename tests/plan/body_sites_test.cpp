#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "qtool/plan.hpp"
#include "support/weights.hpp"

namespace qtool {
namespace {

using test::with_weights;

Model branches() {
  return with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4] x, bool c, float[4, 4] w, float[4] w_bias, float[4, 4] w_last) => (float[n, 4] z)
{ [choose] y = If (c) <then_branch = a () => (float[n, 4] ya) <float[4, 4] inner = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7}>
      { turned = Transpose(inner)  [one] p = MatMul(x, turned)  ya = Add(p, w_bias) },
    else_branch = b () => (float[n, 4] yb) { [two] t = MatMul(x, w)  [three] yb = MatMul(t, w) }>
  [last] z = MatMul(y, w_last) })");
}

TEST(BodySites, AreNamedByTheirPath) {
  const Model m = branches();
  const Sites sites = find_sites(m, find_target("ort-cpu"));
  ASSERT_EQ(sites.layers.size(), 4u);
  EXPECT_EQ(sites.layers[0].name, "choose/one");
  EXPECT_EQ(sites.layers[1].name, "choose/two");
  EXPECT_EQ(sites.layers[3].name, "last");  // in graph order
  EXPECT_EQ(sites.layers[0].inside, "choose");
  EXPECT_EQ(sites.layers[3].inside, "");
  EXPECT_EQ(sites.layers[0].type, "Gemm");  // what a body holds is prepared like the main graph
  EXPECT_EQ(sites.layers[1].weight, "w");
  for (const LayerSite& layer : sites.layers) {
    EXPECT_EQ(layer.reason, "");
    EXPECT_NE(m.graph.constant(m.graph.find(layer.weight)), nullptr);
    EXPECT_NE(sites.activation(layer.input), nullptr) << layer.input;
  }
  EXPECT_NE(m.graph.constant(m.graph.find(sites.layers[0].bias)), nullptr);
  EXPECT_TRUE(sites.stored.empty());
}

TEST(BodySites, AreInPlans) {
  const Sites sites = find_sites(branches(), find_target("ort-cpu"));
  QuantPlan plan = uniform_plan(sites, {8, 8}, {{"choose/two", {4, 8}}});
  EXPECT_EQ(plan.layer("choose/one")->weight_bits, 8);
  EXPECT_EQ(plan.layer("choose/two")->weight_bits, 4);
  const auto path = std::filesystem::path(testing::TempDir()) / "body_plan.json";
  save_plan(plan, path);
  EXPECT_EQ(load_plan(path, sites, "").layer("choose/two")->weight_bits, 4);
}

TEST(BodySites, ThatNoSampleReachesStayInFloat) {
  const Model m = branches();
  const Sites all = find_sites(m, find_target("ort-cpu"));
  std::set<std::string> unreached = {all.layer("choose/two")->input,
                                     all.layer("choose/three")->input};
  for (const ActivationSite& site : all.activations)
    if (site.name.starts_with("choose/t") || site.name.starts_with("choose/yb"))
      unreached.insert(site.name);
  const Sites sites = find_sites(m, find_target("ort-cpu"), unreached);
  ASSERT_EQ(sites.layers.size(), 2u);
  ASSERT_EQ(sites.stored.size(), 2u);
  EXPECT_EQ(sites.stored[0].name, "choose/two");
  EXPECT_EQ(sites.stored[0].node, "choose");
  const QuantPlan fixed = uniform_plan(sites, {8, 8});
  EXPECT_EQ(fixed.stored[0].weight_bits, kFloatBits);
  EXPECT_TRUE(fixed.stored[0].reason.starts_with("no calibration sample reaches it"));
  EXPECT_EQ(uniform_plan(sites, {8, kFloatBits}).stored[0].weight_bits, 8);  // weights need no data
}

TEST(BodySites, NestInBodies) {
  const Model m = with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4] x, int64 steps, float[4, 4] w) => (float[n, 4] y) <bool go = {1}>
{ [loop] y = Loop (steps, go, x) <body = b (int64 i, bool k, float[n, 4] s) => (bool more, float[n, 4] next) {
    [pick] next = If (k) <then_branch = t () => (float[n, 4] a) { [dense] a = MatMul(s, w) },
                          else_branch = e () => (float[n, 4] d) { d = Neg(s) }>
    more = Identity(k) }> })");
  const Sites sites = find_sites(m, find_target("ort-cpu"));
  ASSERT_EQ(sites.layers.size(), 1u);
  EXPECT_EQ(sites.layers[0].name, "loop/pick/dense");
  EXPECT_EQ(sites.layers[0].inside, "loop");
}

TEST(BodySites, NameValuesUniquely) {
  const Model m = prepare(branches());
  std::set<std::string> names;
  const std::function<void(const Graph&)> visit = [&](const Graph& g) {
    for (const Value& value : g.values) {
      const bool captured =
          std::ranges::any_of(g.captures, [&](ValueId v) { return g.value(v).name == value.name; });
      if (captured) continue;
      EXPECT_TRUE(names.insert(value.name).second) << value.name;
    }
    for (const Node& node : g.nodes)
      for (const char* body : {"then_branch", "else_branch"})
        if (const Graph* inner = attr_graph(node, body)) visit(*inner);
  };
  visit(m.graph);
}

TEST(BodySites, WithoutConstantWeightsSayWhy) {
  const Sites sites = find_sites(with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4] x, bool c, float[4, 4] a) => (float[n, 4] y)
{ [choose] y = If (c) <then_branch = t () => (float[n, 4] ya) { [dense] ya = Gemm(x, a) },
    else_branch = e () => (float[n, 4] yb) { yb = Neg(x) }> })"),
                                 find_target("ort-cpu"));
  ASSERT_EQ(sites.layers.size(), 1u);
  EXPECT_EQ(sites.layers[0].reason, "its second operand is no constant weight");
  EXPECT_TRUE(uniform_plan(sites, {8, 8}).layers.empty());
}

}  // namespace
}  // namespace qtool
