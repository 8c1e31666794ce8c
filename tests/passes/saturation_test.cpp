#include <gtest/gtest.h>

#include "qtool/passes.hpp"

namespace qtool {
namespace {

// A lowered model of one layer with these weights.
Model layer(const std::string& type, const std::string& domain, Tensor weight, Tensor zero,
            std::vector<Attribute> attributes = {}) {
  Model m;
  Graph& g = m.graph;
  const ValueId x = add_value(g, "x"), y = add_value(g, "y");
  const ValueId scale = add_initializer(g, "scale", Tensor::scalar(1.f)),
                z = add_initializer(g, "zero", std::move(zero));
  const ValueId w = add_initializer(g, "weight", std::move(weight)),
                wz = add_initializer(g, "weight_zero", Tensor::scalar<int8_t>(0));
  Node node = make_node(g, "layer", type, {x, scale, z, w, scale, wz, scale, z}, {y},
                        std::move(attributes));
  node.domain = domain;
  g.nodes.push_back(node);
  g.inputs = {x};
  g.outputs = {y};
  return m;
}

const Tensor kUnsigned = Tensor::scalar<uint8_t>(0);

TEST(Saturation, CountsRowsWithNeighboursBeyond16Bits) {
  const Tensor w =
      Tensor::of<int8_t>({5, 2, 1, 1}, {64, 64, 65, 64, -64, -64, -65, -64, 127, -128});
  const auto layers = saturating_layers(layer("QLinearConv", "", w, kUnsigned));
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].name, "layer");
  EXPECT_EQ(layers[0].rows, 2);
  EXPECT_EQ(layers[0].of, 5);
}

TEST(Saturation, NeighboursAreChannelsOfOnePosition) {
  // [1, 2, 1, 2]: 100s are neighbours in memory, but channels of different positions apart by one.
  const Tensor apart = Tensor::of<int8_t>({1, 2, 1, 2}, {100, 0, 0, 100});
  EXPECT_TRUE(saturating_layers(layer("QLinearConv", "", apart, kUnsigned)).empty());
  const Tensor together = Tensor::of<int8_t>({1, 2, 1, 2}, {100, 0, 100, 0});
  EXPECT_EQ(saturating_layers(layer("QLinearConv", "", together, kUnsigned)).size(), 1u);
}

TEST(Saturation, FollowsColumnsOrRowsOfAMatrix) {
  const Tensor w = Tensor::of<int8_t>({2, 2}, {100, 0, 100, 0});
  EXPECT_EQ(saturating_layers(layer("QGemm", "com.microsoft", w, kUnsigned)).size(), 1u);
  EXPECT_TRUE(
      saturating_layers(layer("QGemm", "com.microsoft", w, kUnsigned, {{"transB", int64_t{1}, ""}}))
          .empty());
}

TEST(Saturation, ConcernsUnsignedActivationsOnly) {
  const Tensor w = Tensor::of<int8_t>({1, 2, 1, 1}, {127, 127});
  EXPECT_TRUE(saturating_layers(layer("QLinearConv", "", w, Tensor::scalar<int8_t>(0))).empty());
}

}  // namespace
}  // namespace qtool
