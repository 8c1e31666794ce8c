#include "quantize/fit/distill.hpp"

#include <gtest/gtest.h>

#include "qtool/exec.hpp"
#include "quantize/fit/tunable_network.hpp"
#include "support/residual_net.hpp"

namespace qtool::qdq {
namespace {

// A residual block, a grouped convolution and dense layers of both layouts; the sum shares parameters.
struct Fixture : test::ResidualNet {
  Fixture()
      : ResidualNet(8, 2, true),
        plan(uniform_plan(sites, {3, 6})),
        activations(activation_params(sites, plan, table)),
        layers(quantize_weights(model, sites, plan, table, activations, {})) {}

  QuantPlan plan;
  ActivationParams activations;
  LayerResults layers;
};

std::vector<Tensor> start_of(const TunableNetwork& network) {
  std::vector<Tensor> values;
  for (const TunableNetwork::Knob& knob : network.knobs()) values.push_back(knob.start);
  return values;
}

Tensor run(const TunableNetwork& network, const std::vector<Tensor>& values, Feed feed) {
  for (size_t k = 0; k < values.size(); ++k) feed[network.knobs()[k].name] = values[k];
  return Executor(network.model()).run(feed)[0];
}

void expect_near(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_EQ(a.shape(), b.shape());
  for (int64_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a.number(i), b.number(i), tolerance);
}

// Codes of activations near a tie may fall to either side.
constexpr double kTie = 0.05;

TEST(TunableNetwork, IsTheQuantizedNetworkWhereItsKnobsStart) {
  const Fixture f;
  const TunableNetwork network(f.model, f.sites, f.plan, f.activations, f.layers);
  const Feed feed = f.source->chunk(0).feed;
  ExecOptions plain;
  plain.backend = Backend::kReference;
  const Model written = insert_qdq(f.model, f.sites, f.activations, f.layers);
  expect_near(run(network, start_of(network), feed), Executor(written, plain).run(feed)[0], kTie);
}

TEST(TunableNetwork, AppliesItsKnobsToLayersAndActivations) {
  Fixture f;
  const TunableNetwork network(f.model, f.sites, f.plan, f.activations, f.layers);
  std::vector<Tensor> values = start_of(network);
  int gains = 0, shifts = 0, scales = 0;
  for (size_t k = 0; k < values.size(); ++k) {
    using Kind = TunableNetwork::Knob::Kind;
    const Kind kind = network.knobs()[k].kind;
    ++(kind == Kind::kGain ? gains : kind == Kind::kShift ? shifts : scales);
    float step = 0.01f;
    for (float& v : values[k].mutable_data<float>())
      v = kind == Kind::kShift ? v + step : v * (1 + (step += 0.01f));
  }
  EXPECT_EQ(gains, 4);
  EXPECT_EQ(shifts, 3);
  EXPECT_GE(scales, 4);
  network.apply(values, f.layers, f.activations);
  const Feed feed = f.source->chunk(0).feed;
  const TunableNetwork applied(f.model, f.sites, f.plan, f.activations, f.layers);
  expect_near(run(applied, start_of(applied), feed), run(network, values, feed), kTie);
}

TEST(Distill, BringsHeldOutOutputsCloserAndIsTheSameOnAnyThreads) {
  const Fixture start;
  DistillOptions options;
  options.last_chunk = start.source->chunk_count();
  options.fit_chunks = options.last_chunk - 1;
  ASSERT_GT(options.fit_chunks, 0);
  const OutputReference reference(start.model, *start.source, options.fit_chunks,
                                  options.last_chunk, 1);
  const auto distance = [&](const Fixture& f) {
    return reference.distance(insert_qdq(f.model, f.sites, f.activations, f.layers),
                              Distance::kNoise);
  };
  Fixture one, two;
  EXPECT_TRUE(
      distill(one.model, one.sites, one.plan, *one.source, options, one.layers, one.activations));
  EXPECT_LT(distance(one), distance(start));
  options.threads = 2;
  distill(two.model, two.sites, two.plan, *two.source, options, two.layers, two.activations);
  for (const auto& [name, layer] : one.layers) {
    EXPECT_EQ(layer.weight.scales, two.layers.at(name).weight.scales);
    EXPECT_EQ(layer.bias, two.layers.at(name).bias);
  }
}

}  // namespace
}  // namespace qtool::qdq
