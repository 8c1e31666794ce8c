#include <gtest/gtest.h>

#include "qtool/assign.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "support/weights.hpp"

namespace qtool {
namespace {

TEST(Frontier, EveryPointIsWhatABudgetOfItsCostBuys) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4, 8, 8] x, float[8, 4, 3, 3] w1, float[8, 8, 3, 3] w2, float[8, 10] w3) => (float[n, 10] y)
{ a = Conv<pads = [1, 1, 1, 1]>(x, w1)  b = Relu(a)  c = Conv<pads = [1, 1, 1, 1]>(b, w2)  d = Relu(c)
  p = GlobalAveragePool(d)  f = Flatten(p)  y = MatMul(f, w3) })");
  test::make_zero_weights(model);
  model = prepare(model);
  const Sites sites = find_sites(model, find_target("ort-cpu"));
  ScoreTable scores{"", "sqnr", 64, {}};
  double noise = 1;
  for (const LayerSite& site : sites.layers)
    scores.groups.push_back(
        {GroupKind::kWeights, site.name, {2, 4, 8}, {noise /= 3, noise / 10, noise / 200}});
  AssignOptions options;
  for (const char* budget : {"4bits", "900B", "50%bops"}) {
    options.limits = parse_budget(budget);
    const Frontier all = frontier(model, sites, scores, options, 100);
    ASSERT_EQ(all.points.size(), 7u) << budget;  // two steps a layer
    for (const Frontier::Point& point : all.points) {
      AssignOptions at = options;
      at.limits = {{all.cost, 0, ""}};
      if (all.cost == Limit::kBits) at.limits[0].value = point.cost.mean_weight_bits + 1e-9;
      if (all.cost == Limit::kSize) at.limits[0].value = static_cast<double>(point.cost.size_bytes);
      if (all.cost == Limit::kBopsFraction) at.limits[0] = {Limit::kBops, point.cost.bops, ""};
      EXPECT_NEAR(assign(model, sites, scores, at).loss, point.loss, 1e-12) << budget;
    }
  }
  options.limits = parse_budget("drop=1%");
  EXPECT_EQ(frontier(model, sites, scores, options, 3).cost, Limit::kBits);
  EXPECT_EQ(frontier(model, sites, scores, options, 3).points.size(), 3u);
}

}  // namespace
}  // namespace qtool
