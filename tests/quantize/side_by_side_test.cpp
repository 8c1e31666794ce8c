#include "quantize/fit/side_by_side.hpp"

#include <gtest/gtest.h>

#include "quantize/internal.hpp"
#include "support/calibrated_net.hpp"

namespace qtool::qdq {
namespace {

// Values shrink from layer to layer.
struct Fixture : test::CalibratedNet {
  Fixture()
      : CalibratedNet(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[16, 3, 3, 3] w1, float[16] b1, float[4, 16, 3, 3] w2, float[4] b2, float[5, 4] w3, float[5] b3) => (float[n, 5] y)
{ [conv1] c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  [relu1] r1 = Relu(c1)
  [conv2] c2 = Conv <strides = [3, 3]> (r1, w2, b2)  [relu2] r2 = Relu(c2)
  [pool] p = GlobalAveragePool(r2)  [flatten] f = Flatten(p)  [dense] y = Gemm <transB = 1> (f, w3, b3) })"),
        plan(uniform_plan(sites, {3, 6})),
        activations(activation_params(sites, plan, table)),
        layers(quantize_weights(model, sites, plan, table, activations, {})),
        quantized(insert_qdq(model, sites, activations, {})) {
    for (const LayerSite& site : sites.layers) order.push_back(&site);
  }

  SideBySide run(int64_t memory, int threads = 1) const {
    const int64_t chunks = source->chunk_count();
    return SideBySide(model, quantized, order, *source, chunks, chunks, memory, threads);
  }

  QuantPlan plan;
  ActivationParams activations;
  LayerResults layers;
  Model quantized;
  std::vector<const LayerSite*> order;
};

void expect_equal(const ChannelBlocks& a, const ChannelBlocks& b) {
  ASSERT_EQ(a.shape, b.shape);
  ASSERT_EQ(a.block, b.block);
  for (int64_t i = 0; i < element_count(a.shape); ++i) EXPECT_EQ(a.data[i], b.data[i]);
}

TEST(SideBySide, LetsChunksThatFindNoRoomCatchUp) {
  const Fixture f;
  SideBySide wide = f.run(int64_t{1} << 30), narrow = f.run(int64_t{200} << 10);
  const int64_t all = f.source->chunk_count();
  EXPECT_EQ(wide.chunks(), all);
  EXPECT_LT(narrow.chunks(), all);
  for (const LayerSite* site : f.order) {
    wide.advance_to(*site);
    narrow.advance_to(*site);
    for (int64_t c = 0; c < narrow.chunks(); ++c) {
      for (const LayerValue what :
           {LayerValue::kInput, LayerValue::kQuantizedInput, LayerValue::kOutput})
        expect_equal(narrow.value(*site, what, c), wide.value(*site, what, c));
    }
    const Tensor weight = dequantized(f.layers.at(site->name).weight, site->channel_axis);
    const std::vector<float> shift = wide.run_layer(*site, weight, false);
    narrow.run_layer(*site, weight, false);
    wide.shift_output(shift);
    narrow.shift_output(shift);
  }
  EXPECT_EQ(narrow.chunks(), all);
}

TEST(SideBySide, AdmitsTheSameChunksForAnyNumberOfThreads) {
  const Fixture f;
  constexpr int64_t kMemory = int64_t{200} << 10;
  SideBySide one = f.run(kMemory), many = f.run(kMemory, 8);
  for (const LayerSite* site : f.order) {
    one.advance_to(*site);
    many.advance_to(*site);
    EXPECT_EQ(one.chunks(), many.chunks());
    const Tensor weight = dequantized(f.layers.at(site->name).weight, site->channel_axis);
    EXPECT_EQ(one.run_layer(*site, weight, false), many.run_layer(*site, weight, false));
  }
}

}  // namespace
}  // namespace qtool::qdq
