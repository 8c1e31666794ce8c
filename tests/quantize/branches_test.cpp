#include "qtool/branches.hpp"

#include <gtest/gtest.h>

#include "quantize/fit/output_ranges.hpp"
#include "quantize/fit/tunable_network.hpp"
#include "support/calibrated_net.hpp"

namespace qtool::qdq {
namespace {

// A layer reads `a` in 4 bits; the sum reads it moved, as `m`, in 8.
struct Fixture : test::CalibratedNet {
  Fixture()
      : CalibratedNet(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[4, 3, 3, 3] w1, float[4, 4, 3, 3] w2, float[5, 4] w3) => (float[n, 5] y)
<int64[8] no = {0, 0, 0, 0, 0, 0, 0, 0}>
{ [c1] a0 = Conv<pads = [1, 1, 1, 1]>(x, w1)  [r1] a = Relu(a0)  [c2] c = Conv<pads = [1, 1, 1, 1]>(a, w2)
  [move] m = Pad(a, no)  [sum] s = Add(c, m)  [r2] t = Relu(s)  [pool] p = GlobalAveragePool(t)
  [flatten] f = Flatten(p)  [dense] y = Gemm<transB = 1>(f, w3) })"),
        plan(uniform_plan(sites, {4, 4})),
        activations(activation_params(sites, plan, table)) {}

  // Moved codes stay what they are: what moves them has the same parameters in front and behind.
  void expect_moved() const {
    ASSERT_TRUE(activations.at("a").branch);
    EXPECT_EQ(activations.at("m").scale, activations.at("a").branch->scale);
    EXPECT_EQ(activations.at("m").zero_point, activations.at("a").branch->zero_point);
  }

  QuantPlan plan;
  ActivationParams activations;
};

TEST(BranchCodes, AreMovedAsTheyAre) {
  const Fixture f;
  f.expect_moved();
  EXPECT_EQ(branch_values(f.sites, f.activations), std::set<std::string>{"m"});
}

TEST(BranchCodes, StayWhereNarrowRangesChange) {
  Fixture f;
  choose_ranges_by_output(f.model, f.sites, *f.source, f.source->chunk_count(), 1, f.activations);
  f.expect_moved();
}

TEST(BranchCodes, AreNotTuned) {
  const Fixture f;
  const LayerResults layers =
      quantize_weights(f.model, f.sites, f.plan, f.table, f.activations, {});
  const TunableNetwork network(f.model, f.sites, f.plan, f.activations, layers);
  std::set<std::string> scales;
  for (const TunableNetwork::Knob& knob : network.knobs())
    if (knob.kind == TunableNetwork::Knob::Kind::kScale) scales.insert(knob.of);
  EXPECT_TRUE(scales.contains("a"));
  EXPECT_FALSE(scales.contains("m"));
}

}  // namespace
}  // namespace qtool::qdq
