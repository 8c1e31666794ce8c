// What optimisers make of weights in number formats.
#include <gtest/gtest.h>

#include <cmath>

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

TEST(Formats, LayersShareOneCodebookOfVectors) {
  Fixture f;
  const Quantized q = quantize_model(f.model, f.sites, f.plan(parse_format("vector"), 2), f.table,
                                     f.source.get(), {});
  int64_t codebooks = 0;
  for (const auto& [id, initializer] : q.model.graph.initializers)
    codebooks += q.model.graph.value(id).name.starts_with("codebook");
  EXPECT_EQ(codebooks, 1);
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

}  // namespace
}  // namespace qtool
