#include <algorithm>

#include "quantize/fit/acceptance.hpp"
#include "quantize/fit/distill.hpp"
#include "quantize/fit/mirrored.hpp"
#include "quantize/fit/reconstruct.hpp"

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

// Runs of held-out samples to find the fitted layers worth keeping, where all together are not; biases
// alone are corrected in less time than that.
constexpr int kTrials = 200, kBiasTrials = 7;

// The plan, and before it those of the optimisers that its own have to beat; blocks come behind all of them.
std::vector<QuantPlan> steps_of(QuantPlan plan) {
  for (LayerChoice& choice : plan.layers) {
    const OptimizerDef& optimizer = find_optimizer(choice.method);
    if (optimizer.blocks) choice.method = optimizer.after;
  }
  std::vector<QuantPlan> steps = {std::move(plan)};
  while (true) {
    QuantPlan before = steps.front();
    bool any = false;
    for (LayerChoice& choice : before.layers) {
      const std::string_view after = find_optimizer(choice.method).after;
      if (after.empty()) continue;
      choice.method = after;
      any = true;
    }
    if (!any) return steps;
    steps.insert(steps.begin(), std::move(before));
  }
}

using Distances = std::function<double(const Candidate&)>;

// The layers of each block, and the activations that only they read, learned together; a block is taken as a whole
// where held-out noise falls.
void reconstruct(const Model& model, const Sites& sites, const QuantPlan& plan,
                 const SampleSource& source, int64_t fit_chunks, int threads,
                 const LayerResults& walked, const Distances& distance, double& noise,
                 Candidate& best, std::set<std::string>& kept) {
  std::map<std::string_view, LayerResults> wanted;  // by optimiser
  for (const auto& [name, layer] : walked) {
    const OptimizerDef& optimizer = find_optimizer(plan.layer(name)->method);
    if (optimizer.blocks) wanted[optimizer.name].emplace(name, layer);
  }
  for (const auto& [name, layers] : wanted) {
    try {
      Reconstruction sweep(
          model, sites, plan, source, layers,
          {.fit_chunks = fit_chunks, .how = *find_optimizer(name).blocks, .threads = threads});
      const double before = noise;
      int64_t taken = 0;
      Progress progress("reconstructing", static_cast<int64_t>(sweep.blocks().size()), "blocks");
      for (const Block& block : sweep.blocks()) {
        Candidate proposal = sweep.propose(block, best);
        Unit changed = block.layers;
        for (const auto& [activation, p] : proposal.activations)
          if (p.scale != best.activations.at(activation).scale) changed.push_back(activation);
        for (const std::string& layer : block.layers)
          proposal.layers.at(layer).weight.method = name;
        if (!accept(proposal, {changed}, distance, 1, best, noise).empty()) {
          ++taken;
          kept.insert(block.layers.begin(), block.layers.end());
        }
        sweep.pass(block, best);
        progress.advance(1);
      }
      log(LogLevel::kInfo, cat(taken, " of ", sweep.blocks().size(), " blocks are taken from ",
                               name, ": held-out noise ", before, " before, ", noise, " after"));
    } catch (const Error& error) {
      if (error.code() != kUnsupportedCode) throw;
      log(LogLevel::kWarning, cat("blocks are not fitted together: ", error.message()));
    }
  }
}

// Scales and biases tuned against the float network's outputs, kept where held-out noise really falls.
void tune(const Model& model, const Sites& sites, const QuantPlan& plan, const SampleSource& source,
          const DistillOptions& how, const Distances& distance, double noise, Candidate& best) {
  Candidate tuned = best;
  try {
    if (!distill(model, sites, plan, source, how, tuned.layers, tuned.activations)) return;
  } catch (const Error& error) {
    if (error.code() != kUnsupportedCode) throw;
    log(LogLevel::kInfo, cat("scales and biases are not tuned: ", error.message()));
    return;
  }
  std::vector<Unit> units = activation_units(sites, best.activations);
  const std::vector<Unit> of_layers = layer_units(sites, best.layers);
  units.insert(units.end(), of_layers.begin(), of_layers.end());
  const double before = noise;
  const auto taken = accept(tuned, units, distance, kTrials, best, noise);
  log(LogLevel::kInfo, taken.empty() ? cat("scales and biases tuned: held-out noise ", before,
                                           " does not fall, so they are left")
                                     : cat("scales and biases tuned: held-out noise ", before,
                                           " before, ", noise, " after"));
}

}  // namespace

LayerResults fit_layers(const Model& model, const Sites& sites, const QuantPlan& plan,
                        const CalibrationTable& table, ActivationParams& activations,
                        const LayerResults& stored, const SampleSource& source,
                        const QuantizeOptions& options, std::set<std::string>& kept) {
  const LayerResults plain = quantize_weights(model, sites, plan, table, activations, options);
  const int64_t chunks = source.chunk_count();
  const int64_t per_chunk = std::max<int64_t>(1, source.samples() / std::max<int64_t>(chunks, 1));
  const int64_t held_out =
      std::clamp<int64_t>(std::min(chunks / 8, kMostHeldOut / per_chunk), 1, chunks);
  // Layers inside bodies are rounded by themselves: no step of the main graph stands before them.
  LayerResults walked, others = stored;
  for (const auto& [name, layer] : plain)
    (sites.layer(name)->inside.empty() ? walked : others).emplace(name, layer);
  if (walked.empty()) return plain;
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
  const std::vector<QuantPlan> steps = steps_of(plan);
  const auto sequence = [&](const QuantPlan& step) {
    return optimize_in_sequence(model, sites, step, table, activations, others, plain, data,
                                fitted_chunks, options);
  };
  LayerResults optimized = sequence(steps[0]);
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
  const Distances distance = [&](const Candidate& candidate) {
    LayerResults layers = candidate.layers;
    layers.insert(stored.begin(), stored.end());
    return reference.distance(insert_qdq(model, sites, candidate.activations, layers), kind);
  };
  Candidate best{plain, activations};
  double least = distance(best);
  const double before = least;
  const std::vector<Unit> units = layer_units(sites, walked);
  kept = accept({std::move(optimized), {}}, units, distance, fitted ? kTrials : kBiasTrials, best,
                least);
  log(LogLevel::kDebug,
      cat("optimised in sequence: held-out distance ", before, " before, ", least, " after"));
  if (kept.size() < walked.size())
    log(fitted ? LogLevel::kWarning : LogLevel::kInfo,
        cat(walked.size() - kept.size(), " of ", walked.size(), " layers stay ",
            fitted ? "rounded to nearest: fitted" : "as they are: with corrected biases",
            ", held-out outputs are further from float"));
  for (size_t i = 1; i < steps.size(); ++i) {
    const double start = least;
    const auto taken = accept({sequence(steps[i]), {}}, units, distance, kTrials, best, least);
    log(LogLevel::kInfo,
        cat(taken.size(), " of ", walked.size(), " layers are taken from step ", i + 1, " of ",
            steps.size(), ": held-out noise ", start, " before, ", least, " after"));
    kept.insert(taken.begin(), taken.end());
  }
  if (!kept.empty() && fitted)
    reconstruct(model, sites, plan, data, fitted_chunks, options.threads, walked, distance, least,
                best, kept);
  if (!kept.empty() && fitted && options.tuning_rounds > 0) {
    tune(model, sites, plan, data,
         {.fit_chunks = fitted_chunks,
          .last_chunk = data.chunk_count(),
          .rounds = mirrored ? (options.tuning_rounds + 1) / 2 : options.tuning_rounds,
          .threads = options.threads},
         distance, least, best);
  }
  activations = std::move(best.activations);
  return std::move(best.layers);
}

}  // namespace qtool::qdq
