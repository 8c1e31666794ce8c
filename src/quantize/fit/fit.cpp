#include <algorithm>

#include "quantize/fit/mirrored.hpp"
#include "quantize/fit/output_ranges.hpp"
#include "quantize/fit/steps.hpp"

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

// Of tuning, over the data, where steps go on as long as they gain.
constexpr int kTuningRounds = 20;

bool goes_on(const QuantizeOptions& options) { return options.until > 0 || options.most_steps > 0; }

// Whether the next step would be one too many. Of its seconds those of its like in this run tell, of the first of a
// kind the longest of all; time decides how many steps are taken, never what they do.
bool is_over(const FitState& state, const QuantizeOptions& options) {
  if (options.most_steps > 0 && std::ssize(state.done) >= options.most_steps) return true;
  if (options.until <= 0) return false;
  double of_its_kind = 0, longest = 0;
  for (const FitStep& step : state.done) {
    longest = std::max(longest, step.seconds);
    if (!state.next.empty() && step.name == state.next.front().name)
      of_its_kind = std::max(of_its_kind, step.seconds);
  }
  return now_seconds() + (of_its_kind > 0 ? of_its_kind : longest) > options.until;
}

// Steps that an earlier run kept, if they are no more than are asked for.
std::optional<FitState> kept_steps(const Candidate& start, const QuantizeOptions& options) {
  if (!goes_on(options) || options.steps_file.empty()) return std::nullopt;
  std::optional<FitState> state = load_steps(options.steps_key, options.steps_file, start);
  if (!state || (options.most_steps > 0 && std::ssize(state->done) > options.most_steps))
    return std::nullopt;
  log(LogLevel::kInfo, cat(state->done.size(),
                           " steps are kept from an earlier run: held-out noise ", state->noise));
  return state;
}

FitState run_steps(FitSteps& steps, std::optional<FitState> kept, const QuantizeOptions& options) {
  const auto timed = [&](FitState& state, const auto& take) {
    const double begin = now_seconds();
    const auto before = state.done.size();
    take();
    if (state.done.size() > before) state.done.back().seconds = now_seconds() - begin;
    if (goes_on(options) && !options.steps_file.empty() && state.fitted)
      save_steps(state, options.steps_key, options.steps_file);
  };
  FitState state = kept ? std::move(*kept) : FitState();
  if (!kept) timed(state, [&] { state = steps.begin(); });
  bool over = false;
  while (!over) {
    if (goes_on(options) && is_over(state, options)) break;
    over = state.next.empty() && !(goes_on(options) && steps.more(state));
    if (over || (goes_on(options) && is_over(state, options))) break;
    timed(state, [&] { steps.take(state); });
  }
  if (goes_on(options))
    log(LogLevel::kInfo, cat(state.done.size(), " steps: ",
                             over ? "no further one gains" : "the same command goes on from here"));
  return state;
}

}  // namespace

Fitted fit_network(const Model& model, const Sites& sites, const QuantPlan& plan,
                   const CalibrationTable& table, ActivationParams& activations,
                   const LayerResults& stored, const SampleSource& source,
                   const QuantizeOptions& options) {
  LayerResults plain = quantize_weights(model, sites, plan, table, activations, options);
  const int64_t chunks = source.chunk_count();
  const int64_t per_chunk = std::max<int64_t>(1, source.samples() / std::max<int64_t>(chunks, 1));
  const int64_t held_out =
      std::clamp<int64_t>(std::min(chunks / 8, kMostHeldOut / per_chunk), 1, chunks);
  const auto in_body = [&](const auto& layer) { return !sites.layer(layer.first)->inside.empty(); };
  if (std::ranges::all_of(plain, in_body)) return {std::move(plain), {}};
  if (chunks <= held_out) {
    log(LogLevel::kWarning, cat("too few samples (", source.samples(),
                                ") to fit weights and hold some out: they are rounded to nearest; "
                                "calibrate with more data"));
    return {std::move(plain), {}};
  }
  int64_t fitted_chunks = chunks - held_out;
  std::optional<Mirrored> mirrored;
  if (wants_mirrored(plan, fitted_chunks * per_chunk) &&
      sees_mirrored_alike(model, source, fitted_chunks, chunks, options.threads)) {
    log(LogLevel::kInfo, "layers are fitted to mirror images of the pictures, too");
    mirrored.emplace(source, fitted_chunks);
    fitted_chunks *= 2;
  }
  // One or two samples say little about two networks; samples with that much data are not overfitted.
  const int64_t judged =
      std::min(chunks, std::max(held_out, (kLeastJudged + per_chunk - 1) / per_chunk));
  const OutputReference reference(model, source, chunks - judged, chunks, options.threads);
  const auto distance = [&](const Candidate& candidate, Distance kind) {
    LayerResults layers = candidate.layers;
    layers.insert(stored.begin(), stored.end());
    return reference.distance(insert_qdq(model, sites, candidate.activations, layers), kind);
  };
  if (plan.style.range_method == "output" && !plan.style.power_of_two_scales) {
    ActivationParams chosen = activations;
    choose_ranges_by_output(model, sites, source, chunks - held_out, options.threads, chosen);
    // Weights in float.
    const double before = distance({{}, activations}, Distance::kNoise),
                 after = distance({{}, chosen}, Distance::kNoise);
    log(LogLevel::kInfo, cat("ranges by output error: held-out noise of activations ", before,
                             " before, ", after, after < before ? " after" : ": they are left"));
    if (after < before) activations = std::move(chosen);
  }
  const int rounds = options.tuning_rounds > 0 ? options.tuning_rounds : kTuningRounds;
  const FitContext context{.model = model,
                           .sites = sites,
                           .plan = plan,
                           .table = table,
                           .activations = activations,
                           .stored = stored,
                           .plain = plain,
                           .data = mirrored ? static_cast<const SampleSource&>(*mirrored) : source,
                           .fit_chunks = fitted_chunks,
                           .tuning_rounds = mirrored ? (rounds + 1) / 2 : rounds,
                           .options = options,
                           .distance = distance};
  FitSteps steps(context);
  FitState state = run_steps(steps, kept_steps({plain, activations}, options), options);
  if (goes_on(options) && !state.fitted)
    log(LogLevel::kWarning, "no weights are fitted: there are no steps to go on with");
  activations = std::move(state.best.activations);
  return {std::move(state.best.layers), std::move(state.kept), std::move(state.done)};
}

}  // namespace qtool::qdq
