// Activations that find their parameters at run time.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "qtool/budget.hpp"
#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "quantize/internal.hpp"
#include "support/layer_kinds_net.hpp"

namespace qtool {
namespace {

using test::export_as;
using Fixture = test::LayerKindsNet;

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

}  // namespace
}  // namespace qtool
