// Limits on what files store hold to the byte, whatever rows and layers share.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "qtool/assign.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "support/weights.hpp"

namespace qtool {
namespace {

struct FilterNet {
  FilterNet() {
    model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 32, 8, 8] x, float[64, 32, 3, 3] w1, float[48, 64, 3, 3] w2, float[48, 11] w3) => (float[n, 11] y)
{ a = Conv<pads = [1, 1, 1, 1]>(x, w1)  b = Relu(a)  c = Conv<pads = [1, 1, 1, 1]>(b, w2)  d = Relu(c)
  p = GlobalAveragePool(d)  f = Flatten(p)  y = MatMul(f, w3) })");
    test::make_zero_weights(model);
    model = prepare(model);
    sites = find_sites(model, find_target("ort-cpu"));
    Rng rng(1);
    for (const LayerSite& site : sites.layers) {
      GroupScore group{GroupKind::kWeights, site.name, {0, 2, 3, 4, 5, 6, 8}, {}, {}};
      group.noise.assign(group.widths.size(), 0);
      for (int64_t f = 0; f < site.channels; ++f) {
        const double weight = std::exp(3 * rng.normal());
        std::vector<double> row;
        for (const Width& width : group.widths) row.push_back(weight * std::pow(4.0, -width.bits));
        for (size_t c = 0; c < row.size(); ++c) group.noise[c] += row[c];
        group.filter_noise.push_back(std::move(row));
      }
      scores.groups.push_back(std::move(group));
    }
  }
  AssignOptions options(const std::string& budget, Storage storage) const {
    AssignOptions o;
    o.limits = parse_budget(budget);
    o.per_filter = true;
    o.storage = storage;
    return o;
  }
  Model model;
  Sites sites;
  ScoreTable scores{"", "fisher", 64, {}};
};

TEST(StoredLimits, HoldToTheByteWhereFiltersDiffer) {
  const FilterNet net;
  for (Storage storage : {Storage::kWidths, Storage::kPacked, Storage::kSplit}) {
    for (int kilobytes : {11, 12, 14, 17, 20, 26, 34, 44}) {
      const std::string budget = cat(kilobytes, "kB");
      AssignOptions options = net.options(budget, storage);
      Assignment a;
      try {
        a = assign(net.model, net.sites, net.scores, options);
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), "QT-E501");
        EXPECT_LT(kilobytes, 17) << static_cast<int>(storage);
        continue;
      }
      const PlanCost cost = plan_cost(a.plan, net.sites, net.model, storage);
      EXPECT_LE(cost.size_bytes, 1000 * kilobytes) << static_cast<int>(storage);
      EXPECT_EQ(cost.size_bytes, a.cost.size_bytes);
      EXPECT_LE(a.bound, a.loss * (1 + 1e-9));
      EXPECT_NEAR(predicted_loss(a.plan, net.sites, net.scores), a.loss, 1e-9 * a.loss + 1e-15);
    }
  }
}

// Where codes take a byte each, narrow ones save nothing.
TEST(StoredLimits, PlainFilesCountBytes) {
  const FilterNet net;
  EXPECT_THROW((void)assign(net.model, net.sites, net.scores, net.options("28kB", Storage::kBytes)),
               Error);
  const Assignment a =
      assign(net.model, net.sites, net.scores, net.options("52kB", Storage::kBytes));
  EXPECT_LE(a.cost.size_bytes, 52'000);
  EXPECT_DOUBLE_EQ(a.cost.mean_weight_bits, 8);
}

TEST(StoredLimits, PackedLayersTakeTheWidestThatTheirContainerHolds) {
  const FilterNet net;
  const Assignment a =
      assign(net.model, net.sites, net.scores, net.options("28kB", Storage::kPacked));
  for (const LayerChoice& layer : a.plan.layers) {
    const int container = container_bits(layer.weight_bits);
    for (int bits : layer.filter_bits) EXPECT_EQ(bits, container) << layer.name;
  }
  // Whole layers with the containers' widths are the same problem.
  AssignOptions whole = net.options("28kB", Storage::kPacked);
  whole.per_filter = false;
  const Assignment b = assign(net.model, net.sites, net.scores, whole);
  EXPECT_NEAR(a.loss, b.loss, 1e-9 * b.loss);
}

TEST(StoredLimits, OtherLimitsHoldBesidePackedContainers) {
  const FilterNet net;
  const Assignment a =
      assign(net.model, net.sites, net.scores, net.options("28kB,3.5bits", Storage::kPacked));
  EXPECT_LE(a.cost.size_bytes, 28'000);
  EXPECT_LE(a.cost.mean_weight_bits, 3.5);
}

TEST(StoredLimits, BitsPerWeightHoldToo) {
  const FilterNet net;
  for (Storage storage : {Storage::kWidths, Storage::kBytes, Storage::kPacked, Storage::kSplit}) {
    const Assignment a = assign(net.model, net.sites, net.scores, net.options("5bpw", storage));
    EXPECT_LE(a.cost.bits_per_weight, 5);
    EXPECT_GT(a.cost.bits_per_weight, 4);
  }
}

TEST(StoredLimits, PrunedFiltersTakeNoBits) {
  const FilterNet net;
  const Assignment a =
      assign(net.model, net.sites, net.scores, net.options("1.5bits", Storage::kWidths));
  int64_t pruned = 0;
  for (const LayerChoice& layer : a.plan.layers) pruned += std::ranges::count(layer.filter_bits, 0);
  EXPECT_GT(pruned, 10);
  EXPECT_LE(a.cost.mean_weight_bits, 1.5);
}

}  // namespace
}  // namespace qtool
