#include "qtool/quantize.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "quantize/fit/moments.hpp"
#include "quantize/internal.hpp"
#include "support/calibrated_net.hpp"

namespace qtool {
namespace {

// A residual block with random weights and its calibration on random data.
struct Fixture : test::CalibratedNet {
  Fixture()
      : CalibratedNet(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[4, 3, 3, 3] w1, float[4] b1, float[4, 4, 3, 3] w2, float[5, 4] w3, float[5] b3) => (float[n, 5] y)
{ [conv1] c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  [relu1] r1 = Relu(c1)  [conv2] c2 = Conv <pads = [1, 1, 1, 1]> (r1, w2)
  [add] s = Add(c2, r1)  [relu2] r2 = Relu(s)  [pool] p = GlobalAveragePool(r2)  [flatten] f = Flatten(p)
  [dense] y = Gemm <transB = 1> (f, w3, b3) })") {}
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
  for (const char* method : {"adaround", "cyclic", "brecq", "qdrop"})
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

TEST(Rtn, ReproducesWeightsThatLieOnTheGrid) {
  std::vector<float> values;
  for (int i = -8; i < 8; ++i) values.push_back(static_cast<float>(i) * 0.25f);
  const Tensor weight = Tensor::of<float>({1, 16}, values);
  const WeightCodes codes = find_optimizer("rtn").optimize({weight, 0, 4, {}, 1, false});
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_LE(std::abs(codes.codes.data<int8_t>()[i] * codes.scales[0] - values[i]), 0.15f);
}

TEST(Rtn, EightBitPairsNeverOverflowInt16) {
  Rng rng(5);
  Tensor weight(DType::kFloat, {16, 3, 3, 3});
  for (float& w : weight.mutable_data<float>()) w = static_cast<float>(rng.normal());
  const WeightCodes codes = find_optimizer("rtn").optimize({weight, 0, 8, {}, 1, true});
  Tensor real(DType::kFloat, weight.shape());
  for (int64_t i = 0; i < real.size(); ++i) real.set_number(i, codes.codes.number(i));
  const std::vector<float> rows = qdq::rows_of(real, 0);
  for (size_t r = 0; r < 16; ++r) {
    std::vector<int8_t> row(rows.begin() + static_cast<long>(r * 27),
                            rows.begin() + static_cast<long>((r + 1) * 27));
    EXPECT_TRUE(pair_sums_fit(row, 3));
  }
}

TEST(Rtn, ZeroRowsGetAUsableScale) {
  const Tensor weight(DType::kFloat, {2, 4});
  for (float s : find_optimizer("rtn").optimize({weight, 0, 8, {}, 1, true}).scales)
    EXPECT_TRUE(std::isnormal(s));
}

TEST(Rtn, BlocksHaveTheirOwnScales) {
  // A matrix [in = 4, out = 2]: rows of two blocks whose largest weights differ a thousandfold.
  const Tensor weight =
      Tensor::of<float>({4, 2}, {7, 70, 3.5f, 35, 0.007f, 0.07f, -0.007f, -0.07f});
  const OptimizerDef& rtn = find_optimizer("rtn");
  const WeightCodes blocks = rtn.optimize({weight, 1, 4, {}, 1, false, {.block = 2}});
  ASSERT_EQ(blocks.scales.size(), 4u);  // [rows × blocks]
  EXPECT_LT(blocks.scales[1] * 500, blocks.scales[0]);
  const Tensor back = dequantized(blocks, 1);
  EXPECT_NEAR(back.number(2), 3.5, 0.5);
  EXPECT_NEAR(back.number(6), -0.007, 0.0005);
  EXPECT_EQ(dequantized(rtn.optimize({weight, 1, 4, {}, 1, false}), 1).number(6), 0);
}

TEST(Rtn, OneScaleForTheTensor) {
  const Tensor weight = Tensor::of<float>({2, 3}, {1, 2, 3, 100, 50, -127});
  const WeightCodes codes =
      find_optimizer("rtn").optimize({weight, 0, 8, {}, 1, true, {.channels = 0}});
  ASSERT_EQ(codes.scales.size(), 2u);
  EXPECT_EQ(codes.scales[0], codes.scales[1]);
  EXPECT_EQ(codes.codes.number(0), std::nearbyint(1 / codes.scales[0]));
}

TEST(Rows, OfEveryWeightLayout) {
  const auto order = [](const Shape& shape, int64_t axis) {
    std::vector<int64_t> seen;
    qdq::row_layout(shape, axis).for_each([&](int64_t, int64_t, int64_t i) { seen.push_back(i); });
    return seen;
  };
  using Indices = std::vector<int64_t>;
  EXPECT_EQ(order({2, 3}, 0), (Indices{0, 1, 2, 3, 4, 5}));           // Gemm, transB
  EXPECT_EQ(order({2, 3}, 1), (Indices{0, 3, 1, 4, 2, 5}));           // MatMul
  EXPECT_EQ(order({1, 2, 2}, 0), (Indices{0, 2, 1, 3}));              // Conv in 1-D
  EXPECT_EQ(order({2, 2, 2}, 1), (Indices{0, 4, 1, 5, 2, 6, 3, 7}));  // ConvTranspose
  EXPECT_EQ(order({2, 2, 2}, 2), (Indices{0, 2, 4, 6, 1, 3, 5, 7}));  // stacked matrices
  EXPECT_EQ(order({3}, 0), (Indices{0, 1, 2}));
}

TEST(Rows, RoundTrip) {
  Tensor weight(DType::kFloat, {2, 3, 2, 2});
  for (int64_t i = 0; i < weight.size(); ++i) weight.set_number(i, static_cast<double>(i));
  const std::vector<float> rows = qdq::rows_of(weight, 0);
  EXPECT_EQ(rows[1], 4);  // the next input channel at the same kernel position
  const std::vector<int8_t> codes(rows.begin(), rows.end());
  const Tensor back = qdq::from_rows(codes, weight.shape(), 0);
  for (int64_t i = 0; i < back.size(); ++i) EXPECT_EQ(back.number(i), static_cast<double>(i));
}

TEST(Bias, ThatWouldOverflowWidensItsChannel) {
  const LayerSite site{.name = "l",
                       .type = "Gemm",
                       .input = {},
                       .output = {},
                       .weight = {},
                       .bias = {},
                       .channels = 1,
                       .weights = 2,
                       .reason = {}};
  const Tensor weight = Tensor::of<float>({1, 2}, {1e-7f, -1e-7f});
  qdq::LayerResult layer;
  layer.weight = find_optimizer("rtn").optimize({weight, 0, 8, {}, 1, false});
  layer.bias = {100.f};
  QParams input;
  input.scale = {1e-3f};
  EXPECT_EQ(qdq::repair_bias_overflow(layer, site, input), 1);
  EXPECT_LT(100.0 / (1e-3 * layer.weight.scales[0]), 2147483648.0 / 2 * 1.001);
  EXPECT_NE(layer.note, "");
}

TEST(Bias, RepairKeepsNarrowCodesInsideTheirWidth) {
  LayerSite site;
  site.channels = 1;
  qdq::LayerResult layer;
  layer.bits = 2;
  layer.weight.codes = Tensor::of<int8_t>({1, 4}, {-2, 1, 1, -1});
  layer.weight.scales = {1e-7f};  // a clipped scale: the weights behind it reach further
  layer.bias = {120.f};
  QParams input;
  input.scale = {1e-3f};
  EXPECT_EQ(qdq::repair_bias_overflow(layer, site, input), 1);
  for (int8_t code : layer.weight.codes.data<int8_t>()) {
    EXPECT_GE(code, -2);
    EXPECT_LE(code, 1);
  }
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
  std::vector<std::string> names;
  for (const ActivationSite& site : sites.activations) names.push_back(site.name);
  const CalibrationTable table = calibrate(model, names, *source, {});
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

// A signal of which one channel is loud: its quantizer leaves nothing of the other.
TEST(LoudActivations, AreThoseThatMakeMostOfTheNoise) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, 4, 4] x, float[1, 2, 1, 1] k, float[2, 1, 1, 1] w1, float[2, 2, 1, 1] w2) => (float y)
{ a = Mul(x, k)  s = Sin(a)  l = Mul(s, k)  d = Conv <group = 2> (l, w1)  r = Relu(d)  y = Conv(r, w2) })");
  Graph& g = model.graph;
  g.initializers[g.find("k")].data = Tensor::of<float>({1, 2, 1, 1}, {1, 2000});
  g.initializers[g.find("w1")].data = Tensor::of<float>({2, 1, 1, 1}, {1, 0.0005f});
  g.initializers[g.find("w2")].data = Tensor::of<float>({2, 2, 1, 1}, {1, 0.5f, -0.5f, 1});
  model = prepare(model);
  const Sites sites = find_sites(model, find_target("ort-cpu"));
  const auto source = random_data(16, 1, {{"x", DType::kFloat, {-1, 2, 4, 4}}}, 1);
  std::vector<std::string> names;
  for (const ActivationSite& site : sites.activations) names.push_back(site.name);
  const CalibrationTable table = calibrate(model, names, *source, {});
  const auto loud = loud_activations(model, sites, uniform_plan(sites, {8, 8}), table, *source, 2);
  ASSERT_EQ(loud.size(), 1u);
  EXPECT_EQ(loud[0].name, "l");
  EXPECT_GT(loud[0].noise, 10 * loud[0].rest);

  // A spectrum in decibels: even the only quantizer may leave nothing of its quiet half.
  const test::CalibratedNet decibels(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[3, 3, 1, 1] w) => (float y)
<float eight = {8.0}, float small = {0.00000001}>
{ [wide] e = Mul(x, eight)  [exp] s = Exp(e)  [conv] c = Conv(s, w)  [size] a = Abs(c)
  [above] b = Add(a, small)  [log] y = Log(b) })");
  const auto only =
      loud_activations(decibels.model, decibels.sites, uniform_plan(decibels.sites, {8, 8}),
                       decibels.table, *decibels.source, 2);
  ASSERT_FALSE(only.empty());
  EXPECT_EQ(only.back().rest, 0);  // nothing is left

  Fixture even;
  EXPECT_TRUE(loud_activations(even.model, even.sites, uniform_plan(even.sites, {8, 8}), even.table,
                               *even.source, 2)
                  .empty());
}

// Means are far larger than what varies: H must still be a matrix of squares.
TEST(Moments, OfAnInputThatHardlyMovesAreExact) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3] x, float[2, 3] w) => (float y) { y = Gemm <transB = 1> (x, w) })");
  const Tensor weight = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  LayerSite site;
  site.dense = true;
  site.channels = 2;
  const qdq::ColumnReader reader(model.graph.nodes[0], site, weight);
  Tensor x(DType::kFloat, {512, 3});
  auto data = x.mutable_data<float>();
  Rng rng(3);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = 100.f + static_cast<float>(i % 3) + 0.01f * static_cast<float>(rng.normal());
  const auto read = [&](qdq::LayerValue what, int64_t) {
    return what == qdq::LayerValue::kQuantizedInput ? x : Tensor();
  };
  const InputMoments m = qdq::input_moments(reader, 1, read, {});
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(m.groups[0].h[4 * i], 1e-4, 2e-5);
  EXPECT_NEAR(m.groups[0].h[1], 0, 2e-5);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(m.groups[0].mean[i], 100 + static_cast<float>(i), 1e-2);
}

}  // namespace
}  // namespace qtool
