#include <algorithm>

#include "quantize/distill.hpp"
#include "quantize/mirrored.hpp"

namespace qtool::qdq {
namespace {

// Samples that no layer is optimised on: at most this many, and an eighth.
constexpr int64_t kMostHeldOut = 64;
// Samples that tell which of two networks is better, fitted ones among them where few are held out.
constexpr int64_t kLeastJudged = 8;

// Mirror images are made for fewer fitted samples than these, and of no use to weights of 8 bits.
constexpr int64_t kFewSamples = 512;
bool wants_mirrored(const QuantPlan& plan, int64_t samples) {
  return samples < kFewSamples && std::ranges::any_of(plan.layers, [](const LayerChoice& choice) {
           return choice.weight_bits < 8 && find_optimizer(choice.method).needs_moments;
         });
}

// Noise of the held-out samples as `written` makes it, before and after.
using Written = std::function<Model(LayerResults, const ActivationParams&)>;

// Scales and biases tuned against the float network's outputs, kept where held-out noise really falls.
void tune(const Model& model, const Sites& sites, const QuantPlan& plan, const SampleSource& source,
          const DistillOptions& how, const OutputReference& reference, const Written& written,
          LayerResults& layers, ActivationParams& activations) {
  LayerResults tuned = layers;
  ActivationParams tuned_activations = activations;
  try {
    if (!distill(model, sites, plan, source, how, tuned, tuned_activations)) return;
  } catch (const Error& error) {
    if (error.code() != kUnsupportedCode) throw;
    log(LogLevel::kInfo, cat("scales and biases are not tuned: ", error.message()));
    return;
  }
  const double before = reference.distance(written(layers, activations), Distance::kNoise),
               after = reference.distance(written(tuned, tuned_activations), Distance::kNoise);
  const bool kept = after < before;
  log(LogLevel::kInfo, cat("scales and biases tuned: held-out noise ", before, " before, ", after,
                           kept ? " after" : " after, so they are left"));
  if (!kept) return;
  layers = std::move(tuned);
  activations = std::move(tuned_activations);
}

}  // namespace

LayerResults fit_layers(const Model& model, const Sites& sites, const QuantPlan& plan,
                        const CalibrationTable& table, ActivationParams& activations,
                        const LayerResults& stored, const SampleSource& source,
                        const QuantizeOptions& options, bool& kept) {
  const LayerResults plain = quantize_weights(model, sites, plan, table, activations, options);
  const int64_t chunks = source.chunk_count();
  const int64_t per_chunk = std::max<int64_t>(1, source.samples() / std::max<int64_t>(chunks, 1));
  const int64_t held_out =
      std::clamp<int64_t>(std::min(chunks / 8, kMostHeldOut / per_chunk), 1, chunks);
  if (plain.empty()) return plain;
  if (chunks <= held_out) {
    log(LogLevel::kWarning, cat("too few samples (", source.samples(),
                                ") to fit weights and hold some out: they are rounded to nearest; "
                                "calibrate with more data"));
    return plain;
  }
  int64_t fitted_chunks = chunks - held_out;
  std::optional<Mirrored> mirrored;
  if (wants_mirrored(plan, fitted_chunks * per_chunk) &&
      sees_mirrored_alike(model, source, fitted_chunks, chunks, options.threads)) {
    log(LogLevel::kInfo, "layers are fitted to mirror images of the pictures, too");
    mirrored.emplace(source, fitted_chunks);
    fitted_chunks *= 2;
  }
  const SampleSource& data = mirrored ? static_cast<const SampleSource&>(*mirrored) : source;
  LayerResults optimized = optimize_in_sequence(model, sites, plan, table, activations, stored,
                                                data, fitted_chunks, options);
  // Biases alone may add noise and yet bring answers back; for fitted weights the answers to a few easy
  // samples say less than the noise.
  const bool fitted = std::any_of(optimized.begin(), optimized.end(), [](const auto& layer) {
    return find_optimizer(layer.second.weight.method).needs_moments;
  });
  const Distance kind = fitted ? Distance::kNoise : Distance::kDivergence;
  // One or two samples say little about two networks; samples with that much data are not overfitted.
  const int64_t judged =
      std::min(chunks, std::max(held_out, (kLeastJudged + per_chunk - 1) / per_chunk));
  const OutputReference reference(model, source, chunks - judged, chunks, options.threads);
  const auto written = [&](LayerResults layers, const ActivationParams& params) {
    layers.insert(stored.begin(), stored.end());
    return insert_qdq(model, sites, params, layers);
  };
  const double before = reference.distance(written(plain, activations), kind),
               after = reference.distance(written(optimized, activations), kind);
  kept = after < before;
  log(LogLevel::kDebug,
      cat("optimised in sequence: held-out distance ", before, " before, ", after, " after"));
  if (!kept)
    log(fitted ? LogLevel::kWarning : LogLevel::kInfo,
        cat("what was fitted layer by layer is further from float on held-out "
            "samples than plain rounding (",
            after, " against ", before, "), which is kept"));
  LayerResults best = kept ? std::move(optimized) : plain;
  if (kept && fitted && options.tuning_rounds > 0) {
    tune(model, sites, plan, data,
         {.fit_chunks = fitted_chunks,
          .last_chunk = data.chunk_count(),
          .rounds = mirrored ? (options.tuning_rounds + 1) / 2 : options.tuning_rounds,
          .threads = options.threads},
         reference, written, best, activations);
  }
  return best;
}

}  // namespace qtool::qdq
