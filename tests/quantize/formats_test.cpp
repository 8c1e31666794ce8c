// Number formats in written models.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "qtool/budget.hpp"
#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "quantize/internal.hpp"
#include "support/layer_kinds_net.hpp"

namespace qtool {
namespace {

using test::cases;
using test::export_as;
using Fixture = test::LayerKindsNet;

const Node& node_named(const Model& model, const std::string& name) {
  return *std::find_if(model.graph.nodes.begin(), model.graph.nodes.end(),
                       [&](const Node& n) { return n.name == name; });
}

void expect_equal_weights(const Fixture& f, const Model& written, const qdq::LayerResults& layers) {
  const Model folded = prepare_for_execution(written, {.observe = {}, .fuse = false});
  for (const LayerSite& site : f.sites.layers) {
    const Tensor* have = folded.graph.constant(node_named(folded, site.name).inputs[1]);
    const Tensor want = dequantized(layers.at(site.name).weight, site.channel_axis);
    ASSERT_NE(have, nullptr) << site.name;
    ASSERT_EQ(have->shape(), want.shape()) << site.name;
    EXPECT_EQ(std::memcmp(have->raw(), want.raw(), static_cast<size_t>(want.bytes())), 0)
        << site.name;
  }
}

TEST(Formats, EveryExportMakesTheWeightsThatTheCodesStandFor) {
  const Fixture f;
  for (const auto& [format, bits] : cases()) {
    for (int activation_bits : {8, kFloatBits}) {
      const QuantPlan plan = f.plan(format, bits, activation_bits);
      const qdq::ActivationParams activations = qdq::activation_params(f.sites, plan, f.table);
      const qdq::LayerResults layers =
          qdq::quantize_weights(f.model, f.sites, plan, f.table, activations, {});
      for (const ExportStyle* style : export_styles()) {
        SCOPED_TRACE(cat(format.text(), " ", bits, " ", activation_bits, " ", style->name));
        const Model written = qdq::insert_qdq(f.model, f.sites, activations, layers, *style);
        lint_export(written, f.model, "ort-cpu");
        expect_equal_weights(f, written, layers);
      }
    }
  }
}

// One scale for a tensor, for some channels, for a channel, for some weights of a row: every format has it, by
// rounding and fitted, or says that its scales are its own.
TEST(Formats, EveryGranularityIsHeld) {
  const Fixture f;
  for (const auto& [format, bits] : cases()) {
    const bool own = format.def->scale_block > 0 || subgroup_of(format) != Subgroup::kChannel;
    for (const char* text : {"tensor", "group:3", "channel", "block:16"}) {
      const WeightScale scale = parse_weight_scale(text);
      for (const char* method : {"rtn", "cd"}) {
        SCOPED_TRACE(cat(format.text(), " ", bits, " ", text, " ", method));
        QuantPlan plan = f.plan(format, bits, scale.block > 0 ? kFloatBits : 8);
        for (LayerChoice& layer : plan.layers) layer.method = method;
        if (own && !scale.by_channel()) {
          EXPECT_THROW(set_weight_scale(plan, f.sites, scale), Error);
          continue;
        }
        set_weight_scale(plan, f.sites, scale);
        const qdq::ActivationParams activations = qdq::activation_params(f.sites, plan, f.table);
        const qdq::LayerResults layers = qdq::optimize_in_sequence(
            f.model, f.sites, plan, f.table, activations, {},
            qdq::quantize_weights(f.model, f.sites, plan, f.table, activations, {}), *f.source,
            f.source->chunk_count(), {});
        for (const LayerSite& site : f.sites.layers) {
          const WeightCodes& weight = layers.at(site.name).weight;
          const int64_t share = scale.channels == 0 ? site.channels : scale.channels;
          for (int64_t c = 0; scale.block == 0 && c < site.channels && weight.block == 0; ++c)
            EXPECT_EQ(weight.scales[static_cast<size_t>(c)],
                      weight.scales[static_cast<size_t>(c / share * share)])
                << site.name;
          if (scale.block > 0) {
            EXPECT_EQ(weight.block > 0, site.matrix) << site.name;
          }
        }
        const Model written = qdq::insert_qdq(f.model, f.sites, activations, layers);
        lint_export(written, f.model, "ort-cpu");
        expect_equal_weights(f, written, layers);
      }
    }
  }
}

TEST(Formats, LayersWithScalesByChannelRunOnIntegerKernels) {
  Fixture f;
  for (const char* text : {"kmeans", "power-of-two", "vector", "fixed-point"}) {
    const Quantized q = quantize_model(f.model, f.sites, f.plan(parse_format(text), 2), f.table,
                                       f.source.get(), {});
    for (const LayerStatus& layer : lower_qdq(q.model).layers) {
      if (layer.name == "conv1" || layer.name == "conv2" || layer.name == "dense") {
        EXPECT_TRUE(layer.integer) << text << " " << layer.name << ": " << layer.reason;
      }
    }
  }
}

TEST(Formats, FixedPointScalesArePowersOfTwo) {
  Fixture f;
  const QuantPlan plan = f.plan(parse_format("fixed-point"), 8);
  for (const auto& [name, p] : qdq::activation_params(f.sites, plan, f.table)) {
    int exponent = 0;
    EXPECT_EQ(std::frexp(p.scale[0], &exponent), 0.5f) << name;
    EXPECT_TRUE(p.zero_point[0] == 0 || p.zero_point[0] == 128) << name;
  }
}

TEST(Formats, StoredBitsCountScalesAndCodebooks) {
  Fixture f;
  const auto stored = [&](const char* text) {
    return plan_cost(f.plan(parse_format(text), 2), f.sites, f.model).bits_per_weight;
  };
  const double uniform = stored("uniform");
  EXPECT_GT(stored("syq"), uniform);     // factors of places besides
  EXPECT_GT(stored("kmeans"), uniform);  // four levels a layer
  EXPECT_DOUBLE_EQ(stored("syq:subgroup=channel"), stored("syq:subgroup=channel,levels=ternary"));
}

TEST(Formats, ExceptionsStayUniform) {
  Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {2, 8}, {{"first", {8, 8}}});
  set_format(plan, parse_format("syq"));
  EXPECT_EQ(plan.layer("conv1")->format, "uniform");
  EXPECT_EQ(plan.layer("dense")->format, "syq");
  EXPECT_THROW(set_format(plan, parse_format("power-of-two:x=1")), Error);
}

TEST(Exports, AllStylesRunOnTheSameCodes) {
  Fixture f;
  const QuantPlan plan = f.plan(parse_format("uniform"), 3, 4);
  std::vector<Tensor> results;
  std::vector<bool> integer;
  for (const ExportStyle* style : export_styles()) {
    if (style->rewrite || style->describes) continue;  // no pairs: exports_test.cpp
    const Quantized q =
        quantize_model(f.model, f.sites, plan, f.table, f.source.get(), export_as(style->name));
    const Lowered lowered = lower_qdq(q.model);
    std::vector<bool> runs;
    for (const LayerStatus& layer : lowered.layers) runs.push_back(layer.integer);
    const Tensor result = Executor(lowered.model).run(f.source->chunk(0).feed)[0];
    if (results.empty()) integer = runs;
    EXPECT_EQ(runs, integer) << style->name;
    results.push_back(result);
    EXPECT_EQ(std::memcmp(result.raw(), results[0].raw(), static_cast<size_t>(result.bytes())), 0)
        << style->name;
  }
}

TEST(Exports, PackedCodesTakeTheBitsOfTheirWidth) {
  Fixture f;
  const auto type_of = [&](const char* format, int bits, const char* name) {
    const Quantized q = quantize_model(f.model, f.sites, f.plan(parse_format(format), bits),
                                       f.table, nullptr, export_as("packed"));
    return q.model.graph.constant(q.model.graph.find(name))->dtype();
  };
  EXPECT_EQ(type_of("uniform", 8, "w2_quantized"), DType::kInt8);
  EXPECT_EQ(type_of("uniform", 4, "w2_quantized"), DType::kInt4);
  EXPECT_EQ(type_of("uniform", 2, "w2_quantized"), DType::kInt2);
  EXPECT_EQ(type_of("kmeans", 3, "w2_indices"), DType::kUint4);
  EXPECT_EQ(type_of("kmeans", 2, "w2_indices"), DType::kUint2);
  EXPECT_EQ(type_of("syq", 2, "w2_quantized"), DType::kInt2);
  EXPECT_EQ(type_of("float8", 8, "w2_quantized"), DType::kFloat8E4M3FN);
  EXPECT_EQ(type_of("float8:type=e5m2", 8, "w2_quantized"), DType::kFloat8E5M2);
  EXPECT_EQ(type_of("product", 2, "w2_indices"), DType::kUint4);
  EXPECT_EQ(type_of("product", 1, "w2_indices"), DType::kUint2);
}

TEST(Exports, UnknownStylesAreNamed) {
  EXPECT_THROW(find_export_style("pack"), Error);
  EXPECT_EQ(find_export_style("qcdq").name, "qcdq");
}

}  // namespace
}  // namespace qtool
