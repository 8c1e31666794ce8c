#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "qtool/budget.hpp"
#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "quantize/internal.hpp"
#include "support/calibrated_net.hpp"

namespace qtool {
namespace {

// Convolutions (one with odd channels, one grouped, one transposed) and dense layers of both layouts.
struct Fixture : test::CalibratedNet {
  Fixture()
      : CalibratedNet(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[8, 3, 3, 3] w1, float[8] b1, float[8, 4, 3, 3] w2, float[8, 6, 2, 2] w3, float[5, 6] w4, float[5, 7] w5) => (float[n, 7] y)
{ [conv1] c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  [relu1] r1 = Relu(c1)  [conv2] c2 = Conv <pads = [1, 1, 1, 1], group = 2> (r1, w2)
  [up] u = ConvTranspose (c2, w3)  [pool] p = GlobalAveragePool(u)  [flatten] f = Flatten(p)
  [dense] d = Gemm <transB = 1> (f, w4)  [last] y = MatMul (d, w5) })") {}

  QuantPlan plan(const WeightFormat& format, int bits, int activation_bits = 8) const {
    QuantPlan plan = uniform_plan(sites, {bits, activation_bits});
    set_format(plan, format);
    for (LayerChoice& layer : plan.layers) layer.method = "cd";
    return plan;
  }
};

// The widest width of every format, and of every value of its options.
std::vector<std::pair<WeightFormat, int>> cases() {
  std::vector<std::pair<WeightFormat, int>> all;
  for (const FormatDef* def : formats()) {
    std::vector<std::string> texts = {std::string(def->name)};
    for (const FormatOption& option : def->options)
      for (std::string_view value : option.values)
        texts.push_back(cat(def->name, ":", option.name, "=", value));
    for (const std::string& text : texts) {
      const WeightFormat format = parse_format(text);
      all.emplace_back(format, most_bits(format));
    }
  }
  return all;
}

const Node& node_named(const Model& model, const std::string& name) {
  return *std::find_if(model.graph.nodes.begin(), model.graph.nodes.end(),
                       [&](const Node& n) { return n.name == name; });
}

QuantizeOptions export_as(std::string_view style) {
  QuantizeOptions options;
  options.export_style = style;
  return options;
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

TEST(Formats, FittedScalesOfTensorsLeaveLessNoiseThanRounding) {
  Fixture f;
  for (const char* format : {"uniform", "kmeans", "float-e2"}) {
    for (const char* scale : {"tensor", "group:4"}) {
      double noise[2];
      for (const bool fitted : {false, true}) {
        QuantPlan plan = f.plan(parse_format(format), 4);
        for (LayerChoice& layer : plan.layers) layer.method = fitted ? "cd" : "rtn";
        set_weight_scale(plan, f.sites, parse_weight_scale(scale));
        const Quantized q = quantize_model(f.model, f.sites, plan, f.table, f.source.get(), {});
        const Feed feed = f.source->chunk(0).feed;
        noise[fitted ? 1 : 0] =
            qdq::relative_noise({Executor(f.model).run(feed)[0]}, {Executor(q.model).run(feed)[0]});
      }
      EXPECT_LT(noise[1], noise[0]) << format << " " << scale;
    }
  }
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

TEST(Dynamic, LayersFindTheirInputsParametersAtRunTime) {
  Fixture f;
  for (const ExportStyle* style : export_styles()) {
    if (style->rewrite || style->describes) continue;  // no pairs: exports_test.cpp
    SCOPED_TRACE(style->name);
    for (const char* format : {"uniform", "kmeans", "vector"}) {
      QuantPlan plan = f.plan(parse_format(format), format == std::string("vector") ? 2 : 4);
      for (LayerChoice& layer : plan.layers) layer.mode = ActivationMode::kDynamic;
      settle_activation_modes(plan, f.sites, f.model);
      const Quantized q =
          quantize_model(f.model, f.sites, plan, f.table, f.source.get(), export_as(style->name));
      const auto count = [&](std::string_view type) {
        return std::count_if(q.model.graph.nodes.begin(), q.model.graph.nodes.end(),
                             [&](const Node& n) { return n.type == type; });
      };
      EXPECT_EQ(count("MatMulInteger"), 2);  // transposed and plain
      EXPECT_EQ(count("ConvInteger"), 2);    // one of them grouped
      EXPECT_EQ(count("ConvTranspose"), 1);  // reads floats
      const Feed feed = f.source->chunk(0).feed;
      const Tensor want = Executor(f.model).run(feed)[0], have = Executor(q.model).run(feed)[0];
      double signal = 0, noise = 0;
      for (int64_t i = 0; i < want.size(); ++i) {
        signal += want.number(i) * want.number(i);
        noise += std::pow(want.number(i) - have.number(i), 2);
      }
      EXPECT_LT(noise, (format == std::string("vector") ? 0.8 : 0.1) * signal) << format;
    }
  }
}

TEST(Dynamic, RowsHaveRangesOfTheirOwn) {
  // The second row is a thousandth of the first: one range for both would leave nothing of it.
  const test::CalibratedNet f(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[6, 5] w, float[5] b) => (float[n, 3, 6, 5] y)
{ [dense] m = MatMul (x, w)  y = Add(m, b) })");
  QuantPlan plan = uniform_plan(f.sites, parse_uniform("w8a8:token"));
  settle_activation_modes(plan, f.sites, f.model);
  EXPECT_EQ(plan.layer(f.sites.layers[0].name)->mode, ActivationMode::kToken);
  for (const int64_t opset : {17, 21}) {
    Model model = f.model;
    if (opset > model.opset()) model = convert_opset(model, opset);
    const Quantized q = quantize_model(model, f.sites, plan, f.table, nullptr, {});
    Tensor x(DType::kFloat, {1, 3, 6, 6});
    for (int64_t i = 0; i < x.size(); ++i)
      x.set_number(i, std::sin(static_cast<double>(i)) * (i / 6 == 1 ? 1e-3 : i / 6 == 2 ? 0 : 1));
    const Tensor want = Executor(f.model).run({{"x", x}})[0],
                 have = Executor(q.model).run({{"x", x}})[0];
    const Tensor& b = *f.model.graph.constant(f.model.graph.find("b"));
    for (int64_t row = 0; row < 18; ++row) {
      double most = 0, error = 0;
      for (int64_t j = 0; j < 5; ++j) {
        const double y = want.number(row * 5 + j);
        most = std::max(most, std::fabs(y - b.number(j)));
        error = std::max(error, std::fabs(y - have.number(row * 5 + j)));
      }
      EXPECT_LE(error, 0.03 * most + 1e-6) << opset << " " << row;
    }
  }
}

TEST(Dynamic, ReadersOfOneValueShareTheMode) {
  Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {8, 8}, parse_keep("conv2=w8a8:token"));
  settle_activation_modes(plan, f.sites, f.model);
  EXPECT_EQ(plan.layer("conv2")->mode, ActivationMode::kDynamic);  // it has no rows
  EXPECT_FALSE(plan.layer("conv1")->dynamic());
  EXPECT_EQ(plan.activation_bits.at(f.sites.layer("conv2")->input), kFloatBits);
  EXPECT_EQ(plan.activation_bits.at("x"), 8);
  const Quantized q = quantize_model(f.model, f.sites, plan, f.table, f.source.get(), {});
  const auto count = [&](std::string_view type) {
    return std::count_if(q.model.graph.nodes.begin(), q.model.graph.nodes.end(),
                         [&](const Node& n) { return n.type == type; });
  };
  EXPECT_EQ(count("ConvInteger"), 1);
  EXPECT_EQ(count("DynamicQuantizeLinear"), 1);
  EXPECT_GT(count("QuantizeLinear"), 0);
  EXPECT_THROW(
      {
        QuantPlan narrow = uniform_plan(f.sites, parse_uniform("w8a4:dynamic"));
        settle_activation_modes(narrow, f.sites, f.model);
      },
      Error);
}

TEST(Dynamic, PlansSayItLayerByLayer) {
  Fixture f;
  QuantPlan plan = f.plan(parse_format("uniform"), 8);
  for (LayerChoice& layer : plan.layers) layer.mode = ActivationMode::kDynamic;
  settle_activation_modes(plan, f.sites, f.model);
  plan.model_fingerprint = "x";
  const auto path = std::filesystem::temp_directory_path() / "qtool_dynamic_plan.json";
  save_plan(plan, path);
  const QuantPlan back = load_plan(path, f.sites, "x");
  std::filesystem::remove(path);
  EXPECT_EQ(back.layer("conv1")->mode, ActivationMode::kDynamic);
  EXPECT_FALSE(back.layer("up")->dynamic());
  EXPECT_EQ(back.input_bits(*f.sites.layer("conv1")), 8);
  EXPECT_EQ(back.activation_bits, plan.activation_bits);
  plan.layer("up")->mode = ActivationMode::kDynamic;
  EXPECT_THROW(quantize_model(f.model, f.sites, plan, f.table, nullptr, {}), Error);
}

TEST(Exports, UnknownStylesAreNamed) {
  EXPECT_THROW(find_export_style("pack"), Error);
  EXPECT_EQ(find_export_style("qcdq").name, "qcdq");
}

TEST(Formats, CodesAreLevelsOfTheCodebook) {
  Fixture f;
  for (const auto& [format, bits] : cases()) {
    SCOPED_TRACE(cat(format.text(), " ", bits));
    const QuantPlan plan = f.plan(format, bits);
    const qdq::ActivationParams activations = qdq::activation_params(f.sites, plan, f.table);
    const qdq::LayerResults layers = qdq::optimize_in_sequence(
        f.model, f.sites, plan, f.table, activations, {},
        qdq::quantize_weights(f.model, f.sites, plan, f.table, activations, {}), *f.source,
        f.source->chunk_count(), {});
    for (const auto& [name, layer] : layers) {
      if (layer.weight.power_of_two_scales) {
        int exponent = 0;
        for (float scale : layer.weight.scales) EXPECT_EQ(std::frexp(scale, &exponent), 0.5f);
      }
      if (!layer.weight.codebook || layer.weight.codebook->dim > 1) continue;
      const Tensor levels = cast(layer.weight.codes, DType::kFloat);
      for (const float level : levels.data<float>())
        EXPECT_LT(layer.weight.codebook->index_of(std::span(&level, 1)),
                  layer.weight.codebook->levels.size());
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

TEST(Formats, LayersShareOneCodebookOfVectors) {
  Fixture f;
  const Quantized q = quantize_model(f.model, f.sites, f.plan(parse_format("vector"), 2), f.table,
                                     f.source.get(), {});
  int64_t codebooks = 0;
  for (const auto& [id, initializer] : q.model.graph.initializers)
    codebooks += q.model.graph.value(id).name.starts_with("codebook");
  EXPECT_EQ(codebooks, 1);
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

// The rule that SYQ's authors state for ternary codes: 0 up to 0.05 of the layer's largest weight. Their scales by
// channel stand behind the layer, so channels are taken at one size here.
TEST(Formats, ThePublishedThresholdDecidesCodes) {
  Fixture f;
  const LayerSite& site = *f.sites.layer("conv1");
  const Tensor& weight = *f.model.graph.constant(f.model.graph.find(site.weight));
  const auto w = weight.data<float>();
  const size_t columns = w.size() / 8;
  std::vector<double> size(8, 0);
  double largest = 0;
  for (size_t i = 0; i < w.size(); ++i)
    size[i / columns] += double{w[i]} * w[i] / static_cast<double>(columns);
  for (size_t i = 0; i < w.size(); ++i)
    largest = std::max(largest, std::fabs(w[i]) / std::sqrt(size[i / columns]));
  for (const char* method : {"rtn", "cd"}) {
    QuantPlan plan = f.plan(parse_format("syq:threshold=published"), 2);
    for (LayerChoice& layer : plan.layers) layer.method = method;
    const Quantized q =
        quantize_model(f.model, f.sites, plan, f.table, f.source.get(), export_as("packed"));
    const WeightCodes codes = optimize_layer(weight, site, *plan.layer("conv1"), f.table);
    int zeros = 0;
    for (int64_t i = 0; i < weight.size(); ++i) {
      const double x = w[static_cast<size_t>(i)];
      const bool beyond =
          std::fabs(x) / std::sqrt(size[static_cast<size_t>(i) / columns]) > 0.05 * largest;
      EXPECT_EQ(codes.codes.number(i), beyond ? (x < 0 ? -1 : 1) : 0) << method << " " << i;
      zeros += !beyond;
    }
    EXPECT_GT(zeros, 0);
    EXPECT_EQ(q.layers.size(), f.sites.layers.size());
  }
}

// No threshold, and no scale, leaves a smaller error than the exact search finds.
TEST(Formats, TernaryRoundingIsExact) {
  Fixture f;
  const LayerSite& site = *f.sites.layer("dense");
  const Tensor& weight = *f.model.graph.constant(f.model.graph.find(site.weight));
  QuantPlan plan = f.plan(parse_format("ternary"), 2);
  plan.layer("dense")->method = "rtn";
  const WeightCodes codes = optimize_layer(weight, site, *plan.layer("dense"), {});
  const std::vector<double> errors = row_errors(weight, site, codes, {});
  for (size_t r = 0; r < errors.size(); ++r) {
    double least = 1e30;
    for (int step = 1; step <= 4000; ++step) {
      const double scale = step * 0.0005;
      double error = 0;
      for (int64_t j = 0; j < 6; ++j) {
        const double x = std::fabs(weight.number(static_cast<int64_t>(r) * 6 + j));
        error += std::pow(std::min(x, std::fabs(x - scale)), 2);
      }
      least = std::min(least, error);
    }
    EXPECT_LE(errors[r], least * (1 + 1e-6)) << r;
    EXPECT_GE(errors[r], least * 0.98) << r;
  }
}

TEST(Formats, ExceptionsStayUniform) {
  Fixture f;
  QuantPlan plan = uniform_plan(f.sites, {2, 8}, {{"first", {8, 8}}});
  set_format(plan, parse_format("syq"));
  EXPECT_EQ(plan.layer("conv1")->format, "uniform");
  EXPECT_EQ(plan.layer("dense")->format, "syq");
  EXPECT_THROW(set_format(plan, parse_format("power-of-two:x=1")), Error);
}

}  // namespace
}  // namespace qtool
