#include "qtool/quantize.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "quantize/internal.hpp"
#include "support/residual_net.hpp"

namespace qtool {
namespace {

struct Fixture : test::ResidualNet {
  Fixture() : ResidualNet(4) {}
};

double sqnr_db(const Model& reference, const Model& model, const SampleSource& source) {
  const Executor wanted(reference), had(model);
  double signal = 0, noise = 0;
  for (int64_t chunk = 0; chunk < source.chunk_count(); ++chunk) {
    const Batch batch = source.chunk(chunk);
    const Tensor want = wanted.run(batch.feed)[0], have = had.run(batch.feed)[0];
    for (int64_t i = 0; i < want.size(); ++i) {
      const double v = want.number(i), d = v - have.number(i);
      signal += v * v;
      noise += d * d;
    }
  }
  return 10 * std::log10(signal / noise);
}

TEST(Quantize, EightBitsStayCloseToFloat) {
  Fixture f;
  const Quantized q =
      quantize_model(f.model, f.sites, uniform_plan(f.sites, {8, 8}), f.table, f.source.get(), {});
  EXPECT_EQ(q.layers.size(), 3u);
  EXPECT_GT(sqnr_db(f.model, q.model, *f.source), 30);
  EXPECT_DOUBLE_EQ(q.mean_weight_bits, 8);
}

TEST(Quantize, EveryNodeRunsOnCodes) {
  Fixture f;
  const Quantized q =
      quantize_model(f.model, f.sites, uniform_plan(f.sites, {8, 8}), f.table, nullptr, {});
  for (const LayerStatus& layer : lower_qdq(q.model).layers) {
    EXPECT_TRUE(layer.integer) << layer.name << ": " << layer.reason;
  }
  EXPECT_TRUE(q.float_layers.empty());
}

TEST(Quantize, NarrowCodesStayInTheirRange) {
  Fixture f;
  const Quantized q =
      quantize_model(f.model, f.sites, uniform_plan(f.sites, {3, 4}), f.table, f.source.get(), {});
  const Tensor& codes = *q.model.graph.constant(q.model.graph.find("w2_quantized"));
  for (int8_t c : codes.data<int8_t>()) {
    EXPECT_GE(c, -4);
    EXPECT_LE(c, 3);
  }
  EXPECT_NE(q.model.graph.find("r1_narrow_clipped"), ValueId::kNone);
}

TEST(Quantize, WeightOnlyLeavesActivationsAlone) {
  Fixture f;
  const Quantized q = quantize_model(f.model, f.sites, uniform_plan(f.sites, {4, kFloatBits}),
                                     f.table, f.source.get(), {});
  for (const Node& node : q.model.graph.nodes) EXPECT_NE(node.type, "QuantizeLinear");
  EXPECT_NE(q.model.graph.find("w1_quantized"), ValueId::kNone);
}

// Layers of the fixture: "w3" is the [5, 4] weight of a Gemm with transB.
TEST(Quantize, FourBitWeightsOfFloatInputsArePacked) {
  Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {4, kFloatBits});
  plan.layer("dense")->scale.block = 2;
  const Quantized q = quantize_model(f.model, f.sites, plan, f.table, nullptr, {});
  EXPECT_EQ(q.model.opset(), 21);
  const Graph& g = q.model.graph;
  EXPECT_EQ(g.constant(g.find("w3_quantized"))->dtype(), DType::kInt4);
  EXPECT_EQ(g.constant(g.find("w3_scale"))->shape(), (Shape{5, 2}));
  const auto dq = std::find_if(g.nodes.begin(), g.nodes.end(), [&](const Node& n) {
    return n.name == "w3_quantized_DequantizeLinear";
  });
  ASSERT_NE(dq, g.nodes.end());
  EXPECT_EQ(attr_int(*dq, "axis", -9), 1);
  EXPECT_EQ(attr_int(*dq, "block_size", 0), 2);
  EXPECT_EQ(q.fused_nodes, 1);  // MatMulNBits; float convolutions have no such kernel
  EXPECT_GT(sqnr_db(f.model, q.model, *f.source), 10);
}

TEST(Quantize, OneScaleForATensorIsAScalar) {
  Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {8, 8});
  set_weight_scale(plan, f.sites, {.channels = 0});
  const Quantized q = quantize_model(f.model, f.sites, plan, f.table, nullptr, {});
  EXPECT_EQ(q.model.graph.constant(q.model.graph.find("w1_scale"))->rank(), 0);
  EXPECT_EQ(q.fused_nodes, 6);
  EXPECT_GT(sqnr_db(f.model, q.model, *f.source), 25);
}

TEST(Quantize, BlocksNeedFloatActivations) {
  Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {4, 8});
  EXPECT_THROW(set_weight_scale(plan, f.sites, {.block = 32}), Error);
}

QuantPlan plan_by(const Fixture& f, UniformChoice choice, const std::string& method) {
  QuantPlan plan = uniform_plan(f.sites, choice);
  for (LayerChoice& layer : plan.layers) layer.method = method;
  return plan;
}

TEST(Quantize, SameBytesForAnyNumberOfThreads) {
  Fixture f;
  QuantizeOptions one, two;
  two.threads = 2;
  for (const char* method : {"rtn", "gptq", "cd"}) {
    const QuantPlan plan = plan_by(f, {4, 8}, method);
    EXPECT_EQ(
        serialize_model(quantize_model(f.model, f.sites, plan, f.table, f.source.get(), one).model),
        serialize_model(quantize_model(f.model, f.sites, plan, f.table, f.source.get(), two).model))
        << method;
  }
}

TEST(Quantize, EveryFilterKeepsToItsWidth) {
  Fixture f;
  for (const char* method : {"rtn", "cd"}) {
    QuantPlan plan = plan_by(f, {8, 8}, method);
    plan.layer("conv2")->filter_bits = {2, 3, 5, 8};
    const Quantized q = quantize_model(f.model, f.sites, plan, f.table, f.source.get(), {});
    const Tensor& codes = *q.model.graph.constant(q.model.graph.find("w2_quantized"));
    const int64_t columns = codes.size() / 4;
    for (int64_t r = 0; r < 4; ++r) {
      const int bits = plan.layer("conv2")->filter_bits[static_cast<size_t>(r)];
      for (int64_t c = 0; c < columns; ++c) {
        EXPECT_GE(codes.number(r * columns + c), -(1 << (bits - 1))) << method;
        EXPECT_LE(codes.number(r * columns + c), (1 << (bits - 1)) - 1) << method;
      }
    }
  }
}

TEST(Quantize, EachOptimizerIsBetterThanTheOneBefore) {
  Fixture f;
  double before = -100;
  for (const char* method : {"rtn", "gptq", "cd"}) {
    const Quantized q =
        quantize_model(f.model, f.sites, plan_by(f, {3, 8}, method), f.table, f.source.get(), {});
    for (const QuantizedLayer& layer : q.layers) EXPECT_EQ(layer.method, method) << layer.name;
    const double now = sqnr_db(f.model, q.model, *f.source);
    EXPECT_GT(now, before) << method;
    before = now;
  }
}

// What the later optimiser makes of a layer is taken where held-out noise falls.
TEST(Quantize, OptimizersThatComeAfterAnotherAreNoWorse) {
  Fixture f;
  const auto noise_of = [&](const char* method) {
    const Quantized q =
        quantize_model(f.model, f.sites, plan_by(f, {2, 8}, method), f.table, f.source.get(), {});
    for (const QuantizedLayer& layer : q.layers)
      EXPECT_TRUE(layer.method == method || layer.method == "cd") << layer.method;
    return qdq::OutputReference(f.model, *f.source, f.source->chunk_count() - 1,
                                f.source->chunk_count(), 1)
        .distance(q.model, qdq::Distance::kNoise);
  };
  const double cd = noise_of("cd");
  for (const char* method : {"adaround", "cyclic", "descent", "brecq", "qdrop"})
    EXPECT_LE(noise_of(method), cd) << method;
}

TEST(Quantize, GraphOutputsKeepTheirNames) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 2, 4, 4] x, float[2, 2, 1, 1] w) => (float[1, 2, 4, 4] y) { [conv] y = Conv(x, w) })");
  model.graph.initializers[model.graph.find("w")].data =
      Tensor::of<float>({2, 2, 1, 1}, {1, 2, 3, -4});
  model = prepare(model);
  const Sites sites = find_sites(model, find_target("ort-cpu"));
  const auto source = random_data(4, 1, {{"x", DType::kFloat, {1, 2, 4, 4}}}, 1);
  const CalibrationTable table = calibrate(model, {"x", "y"}, *source, {});
  const Quantized q =
      quantize_model(model, sites, uniform_plan(sites, {8, 8}), table, source.get(), {});
  EXPECT_EQ(q.model.graph.value(q.model.graph.outputs[0]).name, "y");
  EXPECT_EQ(q.model.graph.nodes.back().type, "DequantizeLinear");
}

// A function on codes may keep its floats for an output besides.
TEST(Quantize, FunctionsHaveReadersOfCodesAndOfFloats) {
  const test::CalibratedNet f(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[8, 3, 3, 3] w1, float[4, 16, 3, 3] w2) => (float[n, 288] y, float[n, 4, 4, 4] z)
<int64[2] flat = {0, -1}>
{ [conv1] c = Conv <pads = [1, 1, 1, 1]> (x, w1)  [sigmoid] s = Sigmoid(c)  [out] y = Reshape(s, flat)
  [relu] r = Relu(c)  [concat] t = Concat <axis = 1> (s, r)  [conv2] z = Conv(t, w2) })");
  const Quantized q =
      quantize_model(f.model, f.sites, uniform_plan(f.sites, {8, 8}), f.table, f.source.get(), {});
  EXPECT_EQ(q.layers.size(), 2u);
  EXPECT_GT(sqnr_db(f.model, q.model, *f.source), 30);
}

TEST(Quantize, LayersThatShareAWeightShareItsCodes) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, 5, 5] x, float[2, 2, 3, 3] w) => (float[n, 2, 5, 5] y)
{ [a] u = Conv <pads = [1, 1, 1, 1]> (x, w)  [r] v = Relu(u)  [b] y = Conv <pads = [1, 1, 1, 1]> (v, w) })");
  Rng rng(3);
  Tensor w(DType::kFloat, {2, 2, 3, 3});
  for (float& v : w.mutable_data<float>()) v = static_cast<float>(rng.normal() * 0.3);
  model.graph.initializers[model.graph.find("w")].data = w;
  model = prepare(model);
  const Sites sites = find_sites(model, find_target("ort-cpu"));
  const auto source = random_data(96, 1, {{"x", DType::kFloat, {-1, 2, 5, 5}}}, 1);
  const CalibrationTable table = calibrate(model, sites.activation_names(), *source, {});
  for (const char* method : {"rtn", "cd"}) {
    QuantPlan plan = uniform_plan(sites, {3, 8});
    for (LayerChoice& layer : plan.layers) layer.method = method;
    const Quantized q = quantize_model(model, sites, plan, table, source.get(), {});
    int64_t tensors = 0;
    for (const auto& [id, initializer] : q.model.graph.initializers)
      tensors += initializer.data.dtype() == DType::kInt8 && initializer.data.rank() == 4;
    EXPECT_EQ(tensors, 1) << method;
  }
}

}  // namespace
}  // namespace qtool
