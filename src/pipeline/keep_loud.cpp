#include <cmath>

#include "pipeline/stages.hpp"

namespace qtool::pipeline {
namespace {

// Most networks have none, and a few samples tell that no share of the noise comes near.
constexpr int64_t kFew = 4, kEnough = 16;
constexpr double kNear = 0.3, kLoud = 0.5;
constexpr int kRunTimeBits = 8;  // of codes whose ranges are found at run time

std::string decibels(double noise) {
  return cat(std::round(-100 * std::log10(std::max(noise, 1e-20))) / 10, " dB");
}

std::string noise_text(const LoudActivation& loud) {
  return cat(decibels(loud.noise),
             loud.rest > 0 ? ", all others leave " + decibels(loud.rest) : "");
}

}  // namespace

void keep_loud(const Prepared& p, const SampleSource& source, const CalibrationTable& table,
               const PlanRequest& request, QuantPlan& plan) {
  const bool hybrid = request.activation_mode == "hybrid";
  const auto found = [&](const Spread& samples, double share) {
    return loud_activations(p.model, p.sites, plan, table, samples, request.threads, share);
  };
  const Spread few(source, kFew), enough(source, kEnough);
  // A second look is no great loss where the first costs a third.
  const bool fewer = 3 * few.chunk_count() <= enough.chunk_count();
  std::vector<LoudActivation> all;
  if (!fewer || !found(few, kNear).empty()) all = found(enough, kLoud);
  for (const LoudActivation& loud : all) {
    std::set<std::string> values;
    for (const ActivationSite& site : p.sites.activations)
      if (site.owner() == loud.name) values.insert(site.name);
    std::vector<LayerChoice*> readers;
    for (LayerChoice& layer : plan.layers)
      if (values.contains(p.sites.layer(layer.name)->input)) readers.push_back(&layer);
    const std::string reason = cat("quantized, its input alone would leave ", noise_text(loud));
    if (std::ranges::any_of(readers, [](const LayerChoice* l) { return !l->reason.empty(); })) {
      log(LogLevel::kWarning, cat("activation '", printable(loud.name), "': ", reason,
                                  "; --keep asks for it all the same"));
      continue;
    }
    const bool dense =
        !readers.empty() && std::ranges::all_of(readers, [&](const LayerChoice* layer) {
          return p.sites.layer(layer->name)->matrix;
        });
    for (const std::string& value : values) plan.activation_bits[value] = kFloatBits;
    for (LayerChoice* layer : readers) {
      if (hybrid && layer->activation_bits == kRunTimeBits)
        layer->mode = ActivationMode::kToken;
      else
        layer->activation_bits = kFloatBits;
      layer->reason = reason;
    }
    log(LogLevel::kWarning, cat("activation '", printable(loud.name), "' ",
                                hybrid ? "gets its ranges at run time" : "stays in float",
                                ": quantized, it alone would leave ", noise_text(loud),
                                " (--no-float-activations quantizes it",
                                dense ? "; `calibrate --outliers migrate` may ease it)" : ")"));
  }
  settle_activation_modes(plan, p.sites, p.model);
}

}  // namespace qtool::pipeline
