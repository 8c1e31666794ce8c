// What plans state is what files hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "qtool/budget.hpp"
#include "qtool/onnx.hpp"
#include "qtool/quantize.hpp"
#include "support/residual_net.hpp"

namespace qtool {
namespace {

// With biases on some layers; correction gives them to all convolutions and Gemms.
const char* const kNet = R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[16, 3, 3, 3] w1, float[16] b1, float[16, 8, 3, 3] w2, float[16, 16, 1, 1] w3, float[5, 16] w4) => (float[n, 5] y)
{ [conv1] c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  [relu1] r1 = Relu(c1)  [conv2] c2 = Conv <pads = [1, 1, 1, 1], group = 2> (r1, w2)
  [relu2] r2 = Relu(c2)  [one] c3 = Conv(r2, w3)  [two] c4 = Conv(c3, w3)  [pool] p = GlobalAveragePool(c4)  [flatten] f = Flatten(p)
  [dense] y = Gemm <transB = 1> (f, w4) })";

struct Case {
  QuantPlan plan;
  std::string what;
  bool widest;
};

// Every format at every width that it has.
std::vector<Case> cases(const Sites& sites, int activation_bits) {
  std::vector<Case> all;
  for (const FormatDef* def : formats()) {
    const WeightFormat format = parse_format(def->name);
    for (int bits = least_bits(format); has_bits(format, bits); ++bits) {
      QuantPlan plan = uniform_plan(sites, {bits, activation_bits});
      set_format(plan, format);
      all.push_back({std::move(plan), cat(def->name, " ", bits), bits == most_bits(format)});
    }
  }
  return all;
}

// Without shapes and axes, what nodes such as Reshape read: plans know nothing of those.
int64_t bytes(const Model& model) {
  int64_t sum = 0;
  for (const auto& [id, constant] : model.graph.initializers)
    if (constant.data.dtype() != DType::kInt64) sum += constant.data.bytes();
  return sum;
}

// In styles whose plans state what the file holds.
std::vector<const ExportStyle*> counted_styles() {
  std::vector<const ExportStyle*> styles;
  for (const ExportStyle* style : export_styles())
    if (style->storage != Storage::kWidths) styles.push_back(style);
  return styles;
}

// Where a style refuses the plan: nothing.
std::optional<Quantized> quantize(const test::CalibratedNet& f, const QuantPlan& plan,
                                  const ExportStyle& style) {
  QuantizeOptions options;
  options.export_style = style.name;
  try {
    return quantize_model(f.model, f.sites, plan, f.table, f.source.get(), options);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "QT-E132");
    return std::nullopt;
  }
}

TEST(SlowStoredBytes, AreThosePlansStateOnceBiasesAreCorrected) {
  const test::CalibratedNet f(kNet);
  for (int activation_bits : {8, kFloatBits}) {
    int corrected = 0;
    for (const Case& c : cases(f.sites, activation_bits)) {
      if (!c.widest) continue;
      for (const ExportStyle* style : counted_styles()) {
        SCOPED_TRACE(cat(c.what, " a", activation_bits, " ", style->name));
        const auto q = quantize(f, c.plan, *style);
        if (!q) continue;
        const int64_t stated = plan_cost(c.plan, f.sites, f.model, style->storage).size_bytes;
        // Levels that are fitted may be fewer than the width has, and no correction is kept that does not help.
        EXPECT_LE(bytes(q->model), stated);
        const bool all = std::ranges::all_of(q->layers, &QuantizedLayer::bias_corrected);
        corrected += all;
        if (all && parse_format(c.plan.layers[0].format).def->of != CodebookOf::kLayer) {
          EXPECT_EQ(bytes(q->model), stated);
        }
      }
    }
    EXPECT_GT(corrected, 20);
  }
}

TEST(StoredBytes, CountBoundsOfNarrowActivations) {
  const test::CalibratedNet f(kNet);
  QuantPlan plan = uniform_plan(f.sites, {3, 4});
  for (const char* style : {"qdq", "qcdq", "packed", "split"}) {
    const ExportStyle& e = find_export_style(style);
    const auto q = quantize(f, plan, e);
    ASSERT_TRUE(std::ranges::all_of(q->layers, &QuantizedLayer::bias_corrected));
    EXPECT_EQ(bytes(q->model), plan_cost(plan, f.sites, f.model, e.storage).size_bytes) << style;
  }
}

// One zero point for each product, and one scale where the layer has one.
TEST(StoredBytes, OfRangesAtRunTime) {
  const test::ResidualNet f(16);
  for (const char* format : {"uniform", "kmeans", "vector"}) {
    for (const char* scale : {"channel", "tensor", "group:4"}) {
      QuantPlan plan = uniform_plan(f.sites, {2, 8, ActivationMode::kDynamic});
      set_format(plan, parse_format(format));
      set_weight_scale(plan, f.sites, parse_weight_scale(scale));
      settle_activation_modes(plan, f.sites, f.model);
      const ExportStyle& e = find_export_style("packed");
      const auto q = quantize(f, plan, e);
      ASSERT_TRUE(std::ranges::all_of(q->layers, &QuantizedLayer::bias_corrected));
      const int64_t stated = plan_cost(plan, f.sites, f.model, e.storage).size_bytes;
      EXPECT_LE(bytes(q->model), stated) << format << " " << scale;
      EXPECT_GE(static_cast<double>(bytes(q->model)), 0.98 * static_cast<double>(stated))
          << format << " " << scale;
    }
  }
}

// A file without its constants' values is the graph's overhead; what nodes such as Reshape read belongs to it.
size_t overhead(Model model) {
  for (auto& [id, constant] : model.graph.initializers) {
    const auto rank = static_cast<size_t>(constant.data.rank());
    if (constant.data.dtype() != DType::kInt64 && rank > 0)
      constant.data = Tensor(constant.data.dtype(), Shape(rank, 0));
  }
  return serialize_model(model).size();
}

TEST(SlowStoredBytes, OfFilesAreWithinTwoPercentOfThoseStated) {
  Model model = prepare(load_model(QTOOL_SOURCE_DIR "/models/digits.onnx"));
  const Sites sites = find_sites(model, find_target("ort-cpu"));
  const std::string& input = model.graph.value(model.graph.inputs[0]).name;
  const auto source = random_data(16, 1, {{input, DType::kFloat, {-1, 1, 28, 28}}}, 1);
  const CalibrationTable table = calibrate(model, sites.activation_names(), *source, {});
  int compared = 0;
  for (const Case& c : cases(sites, 8)) {
    for (const ExportStyle* style : counted_styles()) {
      if (!c.widest && style->name != "packed") continue;
      SCOPED_TRACE(cat(c.what, " ", style->name));
      QuantizeOptions options;
      options.export_style = style->name;
      Model written;
      try {
        written = quantize_model(model, sites, c.plan, table, nullptr, options).model;
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), "QT-E132");
        continue;
      }
      const auto stated =
          static_cast<double>(plan_cost(c.plan, sites, model, style->storage).size_bytes);
      const auto held = static_cast<double>(serialize_model(written).size() - overhead(written));
      EXPECT_NEAR(held, stated, 0.02 * stated);
      ++compared;
    }
  }
  EXPECT_GT(compared, 100);
}

}  // namespace
}  // namespace qtool
