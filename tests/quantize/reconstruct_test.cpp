#include "quantize/fit/reconstruct.hpp"

#include <gtest/gtest.h>

#include "qtool/exec.hpp"
#include "quantize/fit/block_error.hpp"
#include "quantize/fit/soft_rounding.hpp"
#include "quantize/fit/tunable_network.hpp"
#include "support/residual_net.hpp"

namespace qtool::qdq {
namespace {

// A convolution, a residual block and two dense layers.
struct Fixture : test::ResidualNet {
  Fixture()
      : ResidualNet(8, 1, true),
        plan(uniform_plan(sites, {3, 6})),
        activations(activation_params(sites, plan, table)),
        start{quantize_weights(model, sites, plan, table, activations, {}), activations} {
    options.fit_chunks = source->chunk_count();
    options.steps = 100;
  }

  std::vector<Tensor> outputs(const Block& block, const Candidate& now) const {
    const TunableNetwork network(model, sites, plan, now.activations, now.layers);
    const Model part = block_of(network.model(), block);
    Feed feed = source->chunk(0).feed;
    for (const TunableNetwork::Knob& knob : network.knobs())
      if (part.graph.find(knob.name) != ValueId::kNone) feed[knob.name] = knob.start;
    return Executor(part).run(feed);
  }

  QuantPlan plan;
  ActivationParams activations;
  Candidate start;
  ReconstructOptions options;
};

TEST(Blocks, EndWhereEverythingPassesThroughOneValue) {
  const Fixture f;
  const std::vector<Block> blocks = find_blocks(f.model, f.sites, f.start.layers);
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].input, "");
  EXPECT_EQ(blocks[0].layers, (std::vector<std::string>{"conv1"}));
  EXPECT_EQ(blocks[1].input, blocks[0].outputs[0]);
  EXPECT_EQ(blocks[1].layers, (std::vector<std::string>{"conv2"}));
  EXPECT_EQ(blocks[1].outputs, (std::vector<std::string>{"r2"}));
  EXPECT_EQ(blocks[2].layers, (std::vector<std::string>{"dense", "last"}));
  EXPECT_EQ(blocks[2].outputs, (std::vector<std::string>{"y"}));
}

TEST(Blocks, OneBehindTheOtherAreTheModel) {
  const Fixture f;
  const Feed feed = f.source->chunk(0).feed;
  const Tensor want = Executor(f.model).run(feed)[0];
  Tensor value;
  for (const Block& block : find_blocks(f.model, f.sites, f.start.layers)) {
    const Feed input = block.input.empty() ? feed : Feed{{block.input, value}};
    value = Executor(block_of(f.model, block)).run(input)[0];
  }
  ASSERT_EQ(value.shape(), want.shape());
  for (int64_t i = 0; i < want.size(); ++i) EXPECT_NEAR(value.number(i), want.number(i), 1e-5);
}

TEST(Reconstruction, BringsABlocksOutputsCloser) {
  const Fixture f;
  for (const BlockFit how : {BlockFit{}, BlockFit{.mixed = 0.5}, BlockFit{.weighted = true}}) {
    ReconstructOptions options = f.options;
    options.how = how;
    Reconstruction sweep(f.model, f.sites, f.plan, *f.source, f.start.layers, options);
    const Block& block = sweep.blocks()[0];
    const std::vector<Tensor> want =
        Executor(block_of(f.model, block)).run(f.source->chunk(0).feed);
    const Candidate learned = sweep.propose(block, f.start);
    EXPECT_LT(relative_noise(want, f.outputs(block, learned)),
              relative_noise(want, f.outputs(block, f.start)));
    for (const auto& [name, layer] : learned.layers)
      EXPECT_EQ(layer.weight.scales == f.start.layers.at(name).weight.scales, name != "conv1");
  }
}

TEST(Reconstruction, IsTheSameOnAnyThreads) {
  const Fixture f;
  std::vector<Candidate> found;
  for (const int threads : {1, 2}) {
    ReconstructOptions options = f.options;
    options.how.mixed = 0.5;
    options.threads = threads;
    Reconstruction sweep(f.model, f.sites, f.plan, *f.source, f.start.layers, options);
    Candidate now = f.start;
    for (const Block& block : sweep.blocks()) {
      now = sweep.propose(block, now);
      sweep.pass(block, now);
    }
    found.push_back(std::move(now));
  }
  for (const auto& [name, layer] : found[0].layers) {
    const LayerResult& other = found[1].layers.at(name);
    EXPECT_EQ(layer.weight.scales, other.weight.scales);
    EXPECT_EQ(layer.bias, other.bias);
    const auto a = layer.weight.codes.data<int8_t>(), b = other.weight.codes.data<int8_t>();
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
    for (const int8_t code : a) EXPECT_LE(std::abs(code), 4);
  }
  for (const auto& [name, p] : found[0].activations)
    EXPECT_EQ(p.scale, found[1].activations.at(name).scale);
}

TEST(Reconstruction, LeavesChunksOutThatDoNotFit) {
  Fixture f;
  f.options.memory = 1;
  Reconstruction sweep(f.model, f.sites, f.plan, *f.source, f.start.layers, f.options);
  EXPECT_NO_THROW(sweep.propose(sweep.blocks()[0], f.start));
}

TEST(ChannelWeights, AreTheSquaresOfTheOutputsGradients) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2] x) => (float[n, 2] y) <float[2, 2] w = {1, 0, 0, 2}>
{ [relu] h = Relu(x)  [last] y = MatMul(h, w) })");
  const auto source = random_data(8, 1, {{"x", DType::kFloat, {-1, 2}}}, 1);
  const auto weights = channel_weights(model, {"h"}, *source, {0}, 1);
  ASSERT_EQ(weights.at("h").size(), 2u);
  EXPECT_NEAR(weights.at("h")[0], 0.4, 1e-6);
  EXPECT_NEAR(weights.at("h")[1], 1.6, 1e-6);
}

TEST(SoftRounding, TakesTheOtherNeighbourWhereTheLossFalls) {
  LayerResult layer;
  layer.bits = 2;
  layer.weight.codes = Tensor::of<int8_t>({1, 3}, {0, 0, 1});
  layer.weight.scales = {0.5f};
  const std::vector<double> slope = {-1, 1, -1};  // the last has no neighbour above
  SoftRounding soft(layer, 0, slope);
  EXPECT_EQ(soft.codes().number(0), 0);
  EXPECT_GT(soft.weights().number(0), 0);
  EXPECT_LT(soft.weights().number(1), 0);
  EXPECT_LT(soft.weights().number(2), 0.5);
  for (int i = 0; i < 100; ++i) soft.step(slope, 0.05, 0);
  soft.harden();
  const std::vector<double> want = {1, -1, 1};
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(soft.codes().number(i), want[static_cast<size_t>(i)]);
    EXPECT_EQ(soft.weights().number(i), 0.5 * want[static_cast<size_t>(i)]);
  }
}

}  // namespace
}  // namespace qtool::qdq
