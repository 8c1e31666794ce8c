#include "qtool/branches.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "qtool/memory.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "support/weights.hpp"

namespace qtool {
namespace {

// `a` is read by a layer and, moved to `m`, by a sum; `b` by a layer alone; `t` by movement and a layer behind it.
struct Net {
  Net()
      : model(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4, 8, 8] x, float[4, 4, 3, 3] w1, float[4, 4, 3, 3] w2, float[4, 4, 3, 3] w3, float[5, 64] w4) => (float[n, 5] y)
<int64[2] flat = {-1, 64}, int64[8] no = {0, 0, 0, 0, 0, 0, 0, 0}>
{ [c1] a0 = Conv<pads = [1, 1, 1, 1]>(x, w1)  [r1] a = Relu(a0)
  [c2] b0 = Conv<pads = [1, 1, 1, 1]>(a, w2)  [r2] b = Relu(b0)
  [c3] c = Conv<pads = [1, 1, 1, 1]>(b, w3)  [move] m = Pad(a, no)  [sum] s = Add(c, m)  [r3] t = Relu(s)
  [pool] p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(t)  [flatten] f = Reshape(p, flat)
  [dense] y = Gemm<transB = 1>(f, w4) })")) {
    test::make_zero_weights(model);
    model = prepare(model);
    sites = find_sites(model, find_target("ort-cpu"));
  }

  int bits(const QuantPlan& plan, const char* value) const {
    return plan.activation_bits.at(value);
  }

  Model model;
  Sites sites;
};

TEST(Branches, AreWhatOthersThanLayersRead) {
  const Net net;
  EXPECT_EQ(branched_values(net.sites), (std::set<std::string>{"a", "m"}));
  EXPECT_EQ(net.sites.activation("a")->layers, std::set<std::string>{"c2"});
  EXPECT_FALSE(net.sites.activation("a")->branches);  // the sum reads what is moved
  EXPECT_TRUE(net.sites.activation("m")->branches);
  EXPECT_EQ(net.sites.activation("f")->layers, std::set<std::string>{"dense"});
}

TEST(Branches, KeepEightBitsWhereLayersReadLess) {
  const Net net;
  const QuantPlan plan = uniform_plan(net.sites, {4, 4});
  EXPECT_EQ(net.bits(plan, "a"), 4);
  EXPECT_EQ(net.bits(plan, "m"), 8);
  EXPECT_EQ(net.bits(plan, "b"), 4);
  EXPECT_EQ(net.bits(plan, "t"), 4);
  EXPECT_EQ(net.bits(uniform_plan(net.sites, {4, 8}), "m"), 8);
  EXPECT_EQ(net.bits(uniform_plan(net.sites, {4, kFloatBits}), "m"), kFloatBits);
}

TEST(Branches, AreNarrowWhereJoined) {
  Net net;
  join_branches(net.sites);
  EXPECT_TRUE(branched_values(net.sites).empty());
  EXPECT_EQ(net.bits(uniform_plan(net.sites, {4, 4}), "m"), 4);
}

TEST(Branches, AreStoredInEightBits) {
  Net net;
  const std::vector<LiveSet> sets = live_sets(net.model, net.sites);
  const int64_t apart = peak_activation_bytes(sets, uniform_plan(net.sites, {4, 4}));
  join_branches(net.sites);
  const QuantPlan narrow = uniform_plan(net.sites, {4, 4});
  const int64_t joined = peak_activation_bytes(live_sets(net.model, net.sites), narrow);
  EXPECT_LT(joined, apart);
  EXPECT_LE(apart, peak_activation_bytes(sets, uniform_plan(net.sites, {4, 8})));
}

TEST(Branches, AreSplitFromWhatLayersRead) {
  const Net net;
  const Model split = split_branches(net.model, net.sites);
  const ValueId read = split.graph.find(read_by_layers("a"));
  ASSERT_NE(read, ValueId::kNone);
  for (const Node& node : split.graph.nodes) {
    const bool reads = std::ranges::find(node.inputs, read) != node.inputs.end();
    EXPECT_EQ(reads, node.name == "c2") << node.name;
  }
  ASSERT_EQ(read_apart(net.sites, *net.sites.activation("a")).size(), 1u);
  EXPECT_TRUE(read_apart(net.sites, *net.sites.activation("b")).empty());
}

}  // namespace
}  // namespace qtool
