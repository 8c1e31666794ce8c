// Export styles stand for the same numbers, and say what they store.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "qtool/budget.hpp"
#include "qtool/exec.hpp"
#include "qtool/integer_only.hpp"
#include "qtool/onnx.hpp"
#include "qtool/quantize.hpp"
#include "support/calibrated_net.hpp"

namespace qtool {
namespace {

// Wide enough that codes outweigh scales.
struct Fixture : test::CalibratedNet {
  Fixture()
      : CalibratedNet(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[64, 3, 3, 3] w1, float[64] b1, float[64, 64, 3, 3] w2, float[64] b2, float[5, 64] w3, float[5] b3) => (float[n, 5] y)
{ [conv1] c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  [relu1] r1 = Relu(c1)  [conv2] c2 = Conv <pads = [1, 1, 1, 1]> (r1, w2, b2)
  [add] s = Add(c2, r1)  [act] t = Relu(s)  [pool] p = GlobalAveragePool(t)  [flatten] f = Flatten(p)
  [dense] y = Gemm <transB = 1> (f, w3, b3) })") {}

  Quantized quantize(const std::string& style, const QuantPlan& plan) const {
    QuantizeOptions options;
    options.export_style = style;
    options.bias_correction = false;
    return quantize_model(model, sites, plan, table, nullptr, options);
  }
  Quantized quantize(const std::string& style, UniformChoice widths) const {
    return quantize(style, uniform_plan(sites, widths));
  }
  Tensor run(const Model& m) const { return Executor(m).run(source->chunk(0).feed)[0]; }
};

double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double most = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::fabs(a.number(i) - b.number(i)));
  return most;
}

int count(const Model& model, const std::string& type) {
  return static_cast<int>(std::ranges::count(model.graph.nodes, type, &Node::type));
}

TEST(Exports, PlainFilesTakeNoMoreThanThePlanStates) {
  const Fixture f;
  for (const UniformChoice widths : {UniformChoice{2, 8}, {4, 8}, {4, kFloatBits}, {8, 4}}) {
    QuantPlan plan = uniform_plan(f.sites, widths);
    const int64_t stored = f.quantize("qdq", plan).stored_bytes;
    const int64_t stated = plan_cost(plan, f.sites, f.model, Storage::kBytes).size_bytes;
    EXPECT_LE(stored, stated) << widths.weight_bits;
    EXPECT_GT(stored, 0.98 * static_cast<double>(stated) - 128) << widths.weight_bits;
    plan.most_bytes = stored;
    EXPECT_NO_THROW((void)f.quantize("qdq", plan));
    plan.most_bytes = stored - 1;
    try {
      (void)f.quantize("qdq", plan);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), "QT-E504");
    }
  }
}

TEST(Exports, ContainersAreTwoFourAndEightBits) {
  const Fixture f;
  const auto bytes = [&](int bits) {
    return plan_cost(uniform_plan(f.sites, {bits, 8}), f.sites, f.model, Storage::kPacked)
        .size_bytes;
  };
  EXPECT_LT(bytes(2), bytes(3));
  EXPECT_EQ(bytes(3), bytes(4));
  EXPECT_LT(bytes(4), bytes(5));
  EXPECT_EQ(bytes(5), bytes(8));
}

TEST(Exports, SplitStoresRowsInTheirOwnWidth) {
  const Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {8, 8});
  LayerChoice& layer = *plan.layer("conv2");
  for (int r = 0; r < 64; ++r) layer.filter_bits.push_back(r % 8 == 0 ? 8 : r % 3 == 0 ? 2 : 4);
  const Quantized whole = f.quantize("qdq", plan), split = f.quantize("split", plan);
  EXPECT_EQ(largest_difference(f.run(whole.model), f.run(split.model)), 0);
  EXPECT_EQ(split.model.opset(), 25);
  EXPECT_EQ(count(split.model, "Concat"), 1);
  const auto stated =
      static_cast<double>(plan_cost(plan, f.sites, f.model, Storage::kSplit).size_bytes);
  EXPECT_NEAR(static_cast<double>(split.stored_bytes), stated, 0.02 * stated + 128);
  EXPECT_LE(static_cast<double>(split.stored_bytes), stated);
  EXPECT_LT(split.stored_bytes, f.quantize("packed", plan).stored_bytes * 2 / 3);
}

TEST(Exports, PrunedFiltersAreZeroCodes) {
  const Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {8, 8});
  LayerChoice& layer = *plan.layer("conv2");
  layer.filter_bits.assign(64, 4);
  layer.filter_bits[3] = layer.filter_bits[60] = 0;
  layer.weight_bits = 4;
  for (const char* method : {"rtn", "gptq", "cd"}) {
    layer.method = method;
    QuantizeOptions options;
    options.export_style = "packed";
    const Quantized q = quantize_model(f.model, f.sites, plan, f.table, &*f.source, options);
    const Graph& g = q.model.graph;
    const Tensor codes = cast(*g.constant(g.find("w2_quantized")), DType::kInt32);
    const int64_t row = codes.size() / 64;
    for (int64_t r = 0; r < 64; ++r) {
      bool zero = true;
      for (int64_t i = 0; i < row; ++i) zero &= codes.number(r * row + i) == 0;
      EXPECT_EQ(zero, r == 3 || r == 60) << method << " " << r;
    }
    EXPECT_TRUE(std::isfinite(f.run(q.model).number(0)));
  }
}

TEST(Exports, OperatorFilesHaveTheSizeThatThePlanStates) {
  const Fixture f;
  for (const char* format : {"uniform", "kmeans", "vector:dim=4"}) {
    QuantPlan plan = uniform_plan(f.sites, {2, 8});
    set_format(plan, parse_format(format));
    const auto stated =
        static_cast<double>(plan_cost(plan, f.sites, f.model, Storage::kOperators).size_bytes);
    EXPECT_NEAR(static_cast<double>(f.quantize("qoperator", plan).stored_bytes), stated,
                0.02 * stated + 128)
        << format;
  }
}

TEST(Exports, OperatorsGiveWhatPairsGive) {
  const Fixture f;
  for (const UniformChoice widths : {UniformChoice{8, 8}, {4, 4}}) {
    const Quantized pairs = f.quantize("qdq", widths), q = f.quantize("qoperator", widths);
    EXPECT_EQ(count(q.model, "QLinearConv"), 2);
    EXPECT_EQ(count(q.model, "QLinearAdd"), 1);
    EXPECT_EQ(count(q.model, "QGemm"), 1);
    EXPECT_EQ(count(q.model, "QLinearGlobalAveragePool"), 1);
    EXPECT_EQ(count(q.model, "QuantizeLinear"), 1);
    EXPECT_FALSE(q.model.opsets.contains("qtool"));
    const Tensor want = f.run(pairs.model);
    double most = 0;
    for (int64_t i = 0; i < want.size(); ++i) most = std::max(most, std::fabs(want.number(i)));
    EXPECT_LT(largest_difference(want, f.run(q.model)), 0.02 * most);  // ties round by one code
  }
}

TEST(Exports, OperatorsRefuseWhatOnlyFloatsCompute) {
  const Fixture f;
  try {
    (void)f.quantize("qoperator", {4, kFloatBits});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "QT-E132");
    EXPECT_NE(std::string(error.what()).find("conv1"), std::string::npos);
  }
}

TEST(Exports, IntegersGiveWhatPairsGive) {
  const Fixture f;
  for (const UniformChoice widths : {UniformChoice{8, 8}, {4, 4}}) {
    const Quantized pairs = f.quantize("qdq", widths), q = f.quantize("integer", widths);
    EXPECT_EQ(count(q.model, "ConvInteger"), 2);
    EXPECT_EQ(count(q.model, "MatMulInteger"), 1);
    EXPECT_EQ(count(q.model, "BitShift"), 4);        // two convolutions, a sum, a pool
    EXPECT_EQ(count(q.model, "QuantizeLinear"), 1);  // of the input
    EXPECT_EQ(count(q.model, "DequantizeLinear"), 1);
    EXPECT_FALSE(q.model.opsets.contains("qtool") || q.model.opsets.contains("com.microsoft"));
    // What `eval` runs on the file with pairs is what the other file holds.
    EXPECT_EQ(largest_difference(f.run(integer_only(pairs.model).model), f.run(q.model)), 0);
    const Tensor want = f.run(pairs.model);
    double most = 0;
    for (int64_t i = 0; i < want.size(); ++i) most = std::max(most, std::fabs(want.number(i)));
    EXPECT_LT(largest_difference(want, f.run(q.model)), 0.02 * most);  // ties round by one code
    EXPECT_TRUE(lower_qdq(q.model).layers.size() >= 3);
    for (const LayerStatus& layer : lower_qdq(q.model).layers)
      EXPECT_TRUE(layer.integer || layer.type == "Flatten") << layer.name << " " << layer.reason;
  }
}

TEST(Exports, IntegersRefuseWhatOnlyFloatsCompute) {
  const Fixture f;
  try {
    (void)f.quantize("integer", {4, kFloatBits});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "QT-E355");
    EXPECT_NE(std::string(error.what()).find("conv1"), std::string::npos);
  }
}

TEST(Exports, EncodingsSayTheGridsOfTheirWeights) {
  const Fixture f;
  const Quantized q = f.quantize("encodings", {4, 8});
  EXPECT_EQ(count(q.model, "QuantizeLinear") + count(q.model, "DequantizeLinear"), 0);
  const auto json = nlohmann::json::parse(q.encodings);
  const auto& rows = json.at("param_encodings").at("w2");
  const Tensor& weight = *q.model.graph.constant(q.model.graph.find("w2"));
  ASSERT_EQ(rows.size(), 64u);
  for (int64_t i = 0; i < weight.size(); ++i) {
    const auto& row = rows[static_cast<size_t>(i / (64 * 9))];
    const auto scale = row.at("scale").get<float>();
    const float code = std::nearbyint(weight.data<float>()[static_cast<size_t>(i)] / scale);
    EXPECT_EQ(code * scale, weight.data<float>()[static_cast<size_t>(i)]);
    EXPECT_GE(code, row.at("offset").get<float>());
    EXPECT_LE(code, 7);
    EXPECT_EQ(row.at("bitwidth"), 4);
  }
  const Quantized pairs = f.quantize("qdq", {4, 8});
  const auto& x = json.at("activation_encodings").at("x")[0];
  const Graph& g = pairs.model.graph;
  EXPECT_EQ(x.at("scale").get<float>(), g.constant(g.find("x_scale"))->number(0));
  EXPECT_EQ(x.at("offset").get<int64_t>(), -g.constant(g.find("x_zero_point"))->integer(0));
  EXPECT_EQ(x.at("bitwidth"), 8);
}

TEST(Exports, EncodingsRefuseRangesOfRunTime) {
  const Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {8, 8, ActivationMode::kDynamic});
  settle_activation_modes(plan, f.sites, f.model);
  EXPECT_THROW((void)f.quantize("encodings", plan), Error);
  EXPECT_THROW((void)f.quantize("integer", plan), Error);
  // Operators that find them are operators on codes.
  const Quantized q = f.quantize("qoperator", plan);
  EXPECT_EQ(count(q.model, "ConvInteger"), 2);
  EXPECT_EQ(largest_difference(f.run(f.quantize("qdq", plan).model), f.run(q.model)), 0);
}

TEST(Exports, SixteenBitsAreGridsButNoOperators) {
  const Fixture f;
  const Quantized q = f.quantize("encodings", {8, 16});
  const auto json = nlohmann::json::parse(q.encodings);
  const auto& r1 = json.at("activation_encodings").at("r1")[0];
  EXPECT_EQ(r1.at("bitwidth"), 16);
  const Quantized pairs = f.quantize("qdq", {8, 16});
  const Graph& g = pairs.model.graph;
  EXPECT_EQ(r1.at("scale").get<float>(), g.constant(g.find("r1_scale"))->number(0));
  for (const char* style : {"qoperator", "integer"})
    EXPECT_THROW((void)f.quantize(style, {8, 16}), Error) << style;
}

// Layers read 4 bits of what the sum reads 8 of.
TEST(Exports, BranchesHaveCodesOfTheirOwn) {
  const Fixture f;
  const Quantized q = f.quantize("qdq", {4, 4});
  const Graph& g = q.model.graph;
  const auto reads = [&](const char* node, const char* value) {
    return std::ranges::any_of(g.nodes, [&](const Node& n) {
      return n.name == node && std::ranges::find(n.inputs, g.find(value)) != n.inputs.end();
    });
  };
  EXPECT_TRUE(reads("conv2", "r1_read"));
  EXPECT_TRUE(reads("add", "r1_dequantized"));
  EXPECT_EQ(g.find("r1_clipped"), ValueId::kNone);
  EXPECT_NE(g.find("r1_narrow_clipped"), ValueId::kNone);
  const Tensor want = f.run(q.model);
  for (const char* style : {"qdq", "packed", "qcdq", "codebook", "qoperator"}) {
    const Model m = f.quantize(style, {4, 4}).model;
    EXPECT_LT(largest_difference(want, f.run(lower_qdq(m).model)), 1e-4) << style;
  }
  const Quantized described = f.quantize("encodings", {4, 4});
  const auto bits = [json = nlohmann::json::parse(described.encodings)](const char* value) {
    return json.at("activation_encodings").at(value).at(0).at("bitwidth").get<int>();
  };
  EXPECT_EQ(bits("r1"), 8);
  EXPECT_EQ(bits("r1/read"), 4);
}

TEST(Exports, OneBitActivationsHaveTwoCodes) {
  const Fixture f;
  const Model m = f.quantize("qdq", {8, 1}).model;
  const Graph& g = m.graph;
  const auto number = [&](const char* name) { return g.constant(g.find(name))->number(0); };
  EXPECT_EQ(number("r1_narrow_zero_point"), 0);
  EXPECT_EQ(number("r1_narrow_clip_min"), 0);
  EXPECT_EQ(number("r1_narrow_clip_max"), number("r1_narrow_scale"));
}

TEST(Exports, CodebooksHoldWholeNumbers) {
  const Fixture f;
  for (const int bits : {3, 8}) {
    const Quantized pairs = f.quantize("qdq", {bits, 8}), q = f.quantize("codebook", {bits, 8});
    const Graph& g = q.model.graph;
    EXPECT_EQ(g.constant(g.find("codebook"))->size(), 1 << bits);
    EXPECT_EQ(g.constant(g.find("w2_indices"))->dtype(), DType::kUint8);
    EXPECT_EQ(count(q.model, "Gather"), 3);
    EXPECT_EQ(q.fused_nodes, pairs.fused_nodes);
    EXPECT_EQ(
        largest_difference(f.run(lower_qdq(pairs.model).model), f.run(lower_qdq(q.model).model)),
        0);
  }
}

TEST(Exports, EncodingsRefuseScalesOfPlaces) {
  const Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {2, 8});
  set_format(plan, parse_format("syq"));
  EXPECT_THROW((void)f.quantize("encodings", plan), Error);
}

}  // namespace
}  // namespace qtool
