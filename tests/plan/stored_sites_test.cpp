#include <gtest/gtest.h>

#include "qtool/plan.hpp"
#include "support/weights.hpp"

namespace qtool {
namespace {

using test::with_weights;

Model tables() {
  return with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (int64[n, t] ids, float[100, 32] w, float[100, 4] w_short, float[32, 100] w_across) => (float[n, t, 32] a, float[n, t, 4] b, float[32, n, t] c)
{ [table] a = Gather(w, ids)  [short] b = Gather(w_short, ids)  [across] c = Gather <axis = 1> (w_across, ids) })");
}

TEST(StoredSites, AreTablesWhoseLongRowsArePicked) {
  const Sites sites = find_sites(tables(), find_target("ort-cpu"));
  ASSERT_EQ(sites.stored.size(), 1u);
  EXPECT_EQ(sites.stored[0].name, "table");
  EXPECT_EQ(sites.stored[0].weight, "w");
  EXPECT_TRUE(sites.stored[0].picks_rows);
  EXPECT_EQ(sites.stored[0].channels, 100);
  EXPECT_TRUE(sites.layers.empty());
  ASSERT_EQ(sites.nodes.size(), 2u);  // the others say why they stay in float
  for (const NodeSite& node : sites.nodes) EXPECT_NE(node.reason, "");
}

Model cells() {
  return with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[t, n, 8] x, float[1, 32, 8] w1, float[1, 32, 8] w2) => (float[t, one, n, 8] y)
{ i = Identity(w1)  [cell] y, h, c = LSTM <hidden_size = 8> (x, i, w2) })");
}

TEST(StoredSites, AreWeightsOfRecurrentCells) {
  const Sites sites = find_sites(cells(), find_target("ort-cpu"));
  ASSERT_EQ(sites.stored.size(), 2u);
  EXPECT_EQ(sites.stored[0].name, "cell/W");
  EXPECT_EQ(sites.stored[1].name, "cell/R");
  EXPECT_EQ(sites.stored[0].channels, 32);  // a scale for a gate's row
  ASSERT_EQ(sites.nodes.size(), 1u);
  EXPECT_NE(sites.nodes[0].reason, "");
}

TEST(StoredSites, AreWeightsOfCellsInsideBodies) {
  const Sites sites = find_sites(with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[t, n, 8] x, bool c, float[1, 32, 8] w1, float[1, 32, 8] w2) => (float[t, one, n, 8] y)
{ [choose] y = If (c) <then_branch = a () => (float[t, one, n, 8] ya) { [cell] ya, h, s = LSTM <hidden_size = 8> (x, w1, w2) },
    else_branch = b () => (float[t, one, n, 8] yb) { [other] yb, h2, s2 = LSTM <hidden_size = 8> (x, w2, w1) }> })"),
                                 find_target("ort-cpu"));
  ASSERT_EQ(sites.stored.size(), 4u);
  EXPECT_EQ(sites.stored[0].name, "choose/cell/W");
  EXPECT_EQ(sites.stored[3].name, "choose/other/R");
  EXPECT_EQ(sites.stored[3].weight, "w1");
  EXPECT_EQ(sites.stored[0].node, "choose");
  EXPECT_FALSE(sites.stored[0].picks_rows);
}

TEST(StoredSites, WhatCostsTimeStaysInFloatInStaticPlans) {
  const Sites sites = find_sites(cells(), find_target("ort-cpu"));
  EXPECT_EQ(uniform_plan(sites, {8, 8}).stored[0].weight_bits, kFloatBits);
  EXPECT_NE(uniform_plan(sites, {8, 8}).stored[0].reason, "");
  EXPECT_EQ(uniform_plan(sites, {8, kFloatBits}).stored[0].weight_bits, 8);
  EXPECT_EQ(uniform_plan(sites, {2, kFloatBits}).stored[0].weight_bits, 4);
  const QuantPlan kept = uniform_plan(sites, {8, 8}, {{"cell/R", {8, kFloatBits}}});
  EXPECT_EQ(kept.stored[0].weight_bits, kFloatBits);
  EXPECT_EQ(kept.stored[1].weight_bits, 8);
  EXPECT_EQ(
      uniform_plan(find_sites(tables(), find_target("ort-cpu")), {8, 8}).stored[0].weight_bits, 8);
}

TEST(StoredSites, AreInThePlanFile) {
  const Sites sites = find_sites(cells(), find_target("ort-cpu"));
  QuantPlan plan = uniform_plan(sites, {8, kFloatBits});
  plan.stored[1].weight_bits = 4;
  plan.stored[1].scale.block = 32;
  const auto path = std::filesystem::path(testing::TempDir()) / "stored_plan.json";
  save_plan(plan, path);
  const QuantPlan again = load_plan(path, sites, "");
  EXPECT_EQ(again.stored[0].weight_bits, 8);
  EXPECT_EQ(again.stored[1].weight_bits, 4);
  EXPECT_EQ(again.stored[1].scale.block, 32);
}

TEST(StoredSites, CountAsStored) {
  const Model m = tables();
  const Sites sites = find_sites(m, find_target("ort-cpu"));
  const int64_t whole =
      plan_cost(uniform_plan(sites, {kFloatBits, kFloatBits}), sites, m).size_bytes;
  const int64_t small = plan_cost(uniform_plan(sites, {8, kFloatBits}), sites, m).size_bytes;
  EXPECT_EQ(whole - small, 100 * 32 * 4 - (100 * 32 + 100 * 4));
}

}  // namespace
}  // namespace qtool
