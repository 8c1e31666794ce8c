// Prices around a plan, on networks whose noise is a formula.
#include <gtest/gtest.h>

#include <cmath>

#include "qtool/assign.hpp"

namespace qtool {
namespace {

// Two layers of two filters that read one activation; `noise` of a layer is what its scores say times a factor,
// plus what its bits do together with the other's.
struct Net {
  Net() {
    for (const char* name : {"a", "b"}) {
      LayerSite& site = sites.layers.emplace_back();
      site.name = name;
      site.input = "x";
      site.weight = cat("w", name);
      site.channels = 2;
      scores.groups.push_back({GroupKind::kWeights, name, {2, 3, 4, 8}, {8, 4, 2, 1}});
      scores.groups.back().filter_noise = {{5, 3, 1, 0.5}, {3, 1, 1, 0.5}};
    }
    sites.activations.emplace_back().name = "x";
    scores.groups.push_back({GroupKind::kActivation, "x", {4, 8}, {2, 1}});
    plan = uniform_plan(sites, {3, 8});
  }
  static double noise(const QuantPlan& plan) {
    double power = 0;
    for (const LayerChoice& layer : plan.layers) power += 10.0 / layer.weight_bits;
    return power * power + 16.0 / plan.activation_bits.at("x");
  }
  Sites sites;
  ScoreTable scores{"", "fisher", 64, {}};
  QuantPlan plan;
};

TEST(PricesAround, AreMeasuredChangesOfSingleSteps) {
  const Net net;
  const ScoreTable around = prices_around(net.plan, net.sites, net.scores, Net::noise);
  QuantPlan narrow = net.plan, wide = net.plan, coarse = net.plan;
  narrow.layer("a")->weight_bits = 2;
  wide.layer("a")->weight_bits = 4;
  coarse.activation_bits["x"] = 4;
  const double here = Net::noise(net.plan);
  const std::vector<double>& a = around.groups[0].noise;
  EXPECT_DOUBLE_EQ(a[1], 4);
  EXPECT_NEAR(a[0] - a[1], Net::noise(narrow) - here, 1e-12);
  EXPECT_NEAR(a[2] - a[1], Net::noise(wide) - here, 1e-12);
  EXPECT_TRUE(std::isinf(a[3]));
  const std::vector<double>& x = around.groups[2].noise;
  EXPECT_NEAR(x[0] - x[1], Net::noise(coarse) - here, 1e-12);
}

TEST(PricesAround, FiltersOfALayerMoveTogether) {
  Net net;
  for (LayerChoice& layer : net.plan.layers) layer.filter_bits = {3, 4};
  double moved_by = 0;
  const auto noise = [&](const QuantPlan& plan) {
    double power = 0;
    for (const LayerChoice& layer : plan.layers)
      for (size_t f = 0; f < 2; ++f) power += 10.0 / layer.filter_bits[f];
    if (plan.layer("a")->filter_bits == std::vector<int>{2, 3}) moved_by = power;
    return power;
  };
  const ScoreTable around = prices_around(net.plan, net.sites, net.scores, noise);
  const auto& rows = around.groups[0].filter_noise;
  // Predicted: 5 − 3 and 1 − 1.
  const double factor = (moved_by - noise(net.plan)) / 2;
  EXPECT_NEAR(rows[0][0] - rows[0][1], factor * 2, 1e-12);
  EXPECT_NEAR(rows[1][1] - rows[1][2], 0, 1e-12);
  EXPECT_TRUE(std::isinf(rows[0][3]));
  EXPECT_TRUE(std::isinf(rows[1][0]));
}

TEST(PricesAround, LayersOfOneWeightMoveTogetherAndKeptOnesStay) {
  Net net;
  net.sites.layers[1].weight = "wa";
  const auto together = [](const QuantPlan& plan) {
    EXPECT_EQ(plan.layer("a")->weight_bits, plan.layer("b")->weight_bits);
    return Net::noise(plan);
  };
  (void)prices_around(net.plan, net.sites, net.scores, together);
  net.plan.layer("b")->reason = "kept by --keep";
  const ScoreTable around = prices_around(net.plan, net.sites, net.scores, [](const QuantPlan& p) {
    EXPECT_EQ(p.layer("b")->weight_bits, 3);
    return Net::noise(p);
  });
  EXPECT_EQ(around.groups[1].noise, net.scores.groups[1].noise);
}

TEST(PricesAround, LessNoiseAtFewerBitsCostsNothing) {
  const Net net;
  const ScoreTable around = prices_around(net.plan, net.sites, net.scores, [](const QuantPlan& p) {
    return static_cast<double>(p.layer("a")->weight_bits);
  });
  EXPECT_EQ(around.groups[0].noise[0], around.groups[0].noise[1]);
}

TEST(CompareNoise, RanksAndRatios) {
  const Verification v = compare_noise({1, 2, 3, 4}, {2, 4, 6, 80});
  EXPECT_EQ(v.plans, 4);
  EXPECT_DOUBLE_EQ(v.spearman, 1);
  EXPECT_LT(v.pearson_log, 1);
  EXPECT_DOUBLE_EQ(v.median_ratio, 2);
  EXPECT_DOUBLE_EQ(compare_noise({1, 2, 3}, {9, 8, 7}).spearman, -1);
  EXPECT_DOUBLE_EQ(compare_noise({1, 1}, {1, 2}).spearman, 0);
}

TEST(PairedGain, CountsStandardErrorsOfTheMeanDifference) {
  // Differences 1, 2, 3: mean 2, deviation 1, error 1 / √3.
  EXPECT_DOUBLE_EQ(paired_gain({2, 4, 6}, {1, 2, 3}), 2 * std::sqrt(3.0));
  EXPECT_DOUBLE_EQ(paired_gain({1, 2, 3}, {2, 4, 6}), -2 * std::sqrt(3.0));
  EXPECT_EQ(paired_gain({1, 2}, {1, 2}), 0);
  EXPECT_EQ(paired_gain({3}, {1}), 0);
  EXPECT_TRUE(std::isinf(paired_gain({2, 3}, {1, 2})));
}

}  // namespace
}  // namespace qtool
