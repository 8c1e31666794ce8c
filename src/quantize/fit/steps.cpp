#include "quantize/fit/steps.hpp"

#include <algorithm>

#include "quantize/fit/distill.hpp"

namespace qtool::qdq {
namespace {

// Runs of held-out samples to find the fitted layers worth keeping, where all together are not; biases
// alone are corrected in less time than that.
constexpr int kTrials = 200, kBiasTrials = 7;

constexpr const char *kTuning = "tuning", *kCd = "cd", *kCyclic = "cyclic", *kBrecq = "brecq";
// Blocks that together make so much of the held-out noise are fitted in a round; a round that takes less than this part
// of the noise away is the last.
constexpr double kShareOfNoise = 0.8, kLeastGain = 0.005;

bool is_fitted(const LayerResults& layers) {
  return std::ranges::any_of(layers, [](const auto& layer) {
    return find_optimizer(layer.second.weight.method).needs_moments;
  });
}

// The plan, and before it those of the optimisers that its own have to beat; blocks come behind all of them.
std::vector<QuantPlan> plans_of(QuantPlan plan) {
  for (LayerChoice& choice : plan.layers) {
    const OptimizerDef& optimizer = find_optimizer(choice.method);
    if (optimizer.blocks) choice.method = optimizer.after;
  }
  std::vector<QuantPlan> plans = {std::move(plan)};
  while (true) {
    QuantPlan before = plans.front();
    bool any = false;
    for (LayerChoice& choice : before.layers) {
      const std::string_view after = find_optimizer(choice.method).after;
      if (after.empty()) continue;
      choice.method = after;
      any = true;
    }
    if (!any) return plans;
    plans.insert(plans.begin(), std::move(before));
  }
}

// The methods that are new in `plan` beside `before`, of layers that are fitted.
std::string name_of(const QuantPlan& plan, const QuantPlan* before, const LayerResults& layers) {
  std::set<std::string> methods;
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const LayerChoice& choice = plan.layers[i];
    if (layers.contains(choice.name) && (!before || before->layers[i].method != choice.method))
      methods.insert(choice.method);
  }
  std::string name;
  for (const std::string& method : methods) name += cat(name.empty() ? "" : "+", method);
  return name;
}

}  // namespace

FitSteps::FitSteps(const FitContext& context) : c_(context), others_(context.stored) {
  // Layers inside bodies are rounded by themselves: no step of the main graph stands before them.
  for (const auto& [name, layer] : c_.plain)
    (c_.sites.layer(name)->inside.empty() ? walked_ : others_).emplace(name, layer);
  units_ = layer_units(c_.sites, walked_);
  for (QuantPlan& plan : plans_of(c_.plan)) {
    const QuantPlan* before = sequences_.empty() ? nullptr : &sequences_.back().plan;
    std::string name = name_of(plan, before, walked_);
    sequences_.push_back({std::move(name), std::move(plan)});
  }
  asked_ = sequences_.size();
  QuantPlan cyclic = sequences_.front().plan;
  for (LayerChoice& choice : cyclic.layers)
    if (choice.method == kCd && choice.weight_bits < 8) choice.method = kCyclic;
  if (name_of(cyclic, &sequences_.front().plan, walked_) == kCyclic &&
      std::ranges::find(sequences_, kCyclic, &Sequence::name) == sequences_.end())
    sequences_.push_back({kCyclic, std::move(cyclic)});
}

FitState FitSteps::begin() {
  FitState state{.best = {c_.plain, c_.activations}};
  LayerResults optimized = in_sequence(sequences_[0]);
  // Biases alone may add noise and yet bring answers back; for fitted weights the answers to a few easy
  // samples say less than the noise.
  state.fitted = is_fitted(optimized);
  const Distance kind = state.fitted ? Distance::kNoise : Distance::kAnswers;
  const auto distance = [&](const Candidate& candidate) { return c_.distance(candidate, kind); };
  state.noise = distance(state.best);
  FitStep step{.name = sequences_[0].name, .before = state.noise};
  state.kept = accept({std::move(optimized), {}}, units_, distance,
                      state.fitted ? kTrials : kBiasTrials, state.best, state.noise);
  step.taken = static_cast<int64_t>(state.kept.size());
  step.after = state.noise;
  log(LogLevel::kDebug, cat("optimised in sequence: held-out distance ", step.before, " before, ",
                            step.after, " after"));
  if (state.kept.size() < walked_.size())
    log(state.fitted ? LogLevel::kWarning : LogLevel::kInfo,
        cat(walked_.size() - state.kept.size(), " of ", walked_.size(), " layers stay ",
            state.fitted ? "rounded to nearest: fitted" : "as they are: with corrected biases",
            ", held-out outputs are further from float"));
  state.done.push_back(std::move(step));
  if (!state.fitted) return state;
  for (size_t i = 1; i < asked_; ++i) state.next.push_back({.name = sequences_[i].name});
  for (const OptimizerDef* optimizer : optimizers()) {
    const std::string name(optimizer->name);
    if (!optimizer->blocks || !asks_for(name)) continue;
    for (const Block& block : find_blocks(c_.model, c_.sites, layers_of(name)))
      state.next.push_back({.name = name, .block = block.layers.front()});
  }
  if (c_.options.tuning_rounds > 0) state.next.push_back({.name = kTuning});
  return state;
}

void FitSteps::take(FitState& state) {
  FitStep step = std::move(state.next.front());
  state.next.erase(state.next.begin());
  step.before = state.noise;
  try {
    if (step.name == kTuning)
      tune(state, step);
    else if (!step.block.empty())
      fit_block(state, step);
    else
      fit_layers(state, step);
  } catch (const Error& error) {
    if (error.code() != kUnsupportedCode) throw;
    log(LogLevel::kWarning, cat("no ", step.name, ": ", error.message()));
    impossible_.insert(step.name);
    std::erase_if(state.next, [&](const FitStep& other) { return other.name == step.name; });
    return;
  }
  step.after = state.noise;
  log(LogLevel::kInfo, cat("step ", state.done.size() + 1, ", ", step.name,
                           step.block.empty() ? "" : " of the block from " + printable(step.block),
                           ": held-out noise ", step.before,
                           step.taken == 0 ? " does not fall"
                                           : cat(" -> ", step.after, ", ", step.taken, " taken")));
  state.done.push_back(std::move(step));
}

LayerResults FitSteps::in_sequence(const Sequence& sequence) const {
  return optimize_in_sequence(c_.model, c_.sites, sequence.plan, c_.table, c_.activations, others_,
                              c_.plain, c_.data, c_.fit_chunks, c_.options);
}

std::set<std::string> FitSteps::accepted(const Candidate& proposal, const std::vector<Unit>& units,
                                         int trials, FitState& state, FitStep& step) const {
  const auto distance = [&](const Candidate& c) { return c_.distance(c, Distance::kNoise); };
  std::set<std::string> taken = accept(proposal, units, distance, trials, state.best, state.noise);
  step.taken = static_cast<int64_t>(taken.size());
  return taken;
}

void FitSteps::fit_layers(FitState& state, FitStep& step) {
  const auto sequence = std::ranges::find(sequences_, step.name, &Sequence::name);
  // All or none: among layers picked by a few samples, chance decides.
  Unit all;
  for (const auto& [name, layer] : walked_) all.push_back(name);
  const auto taken = accepted({in_sequence(*sequence), {}}, {all}, 1, state, step);
  state.kept.insert(taken.begin(), taken.end());
  sweep_.reset();
}

void FitSteps::fit_block(FitState& state, FitStep& step) {
  const auto at = [&] {
    return static_cast<size_t>(
        std::ranges::find_if(sweep_->blocks(),
                             [&](const Block& b) { return b.layers.front() == step.block; }) -
        sweep_->blocks().begin());
  };
  if (!sweep_ || sweep_of_ != step.name || at() < passed_) {
    sweep_.emplace(c_.model, c_.sites, c_.plan, c_.data, layers_of(step.name),
                   ReconstructOptions{.fit_chunks = c_.fit_chunks,
                                      .how = *find_optimizer(step.name).blocks,
                                      .threads = c_.options.threads});
    sweep_of_ = step.name;
    passed_ = 0;
  }
  for (const size_t index = at(); passed_ < index; ++passed_)
    sweep_->pass(sweep_->blocks()[passed_], state.best);
  const Block& block = sweep_->blocks()[passed_];
  Candidate proposal = sweep_->propose(block, state.best);
  Unit changed = block.layers;
  for (const auto& [activation, p] : proposal.activations)
    if (p.scale != state.best.activations.at(activation).scale) changed.push_back(activation);
  for (const std::string& layer : block.layers) proposal.layers.at(layer).weight.method = step.name;
  if (!accepted(proposal, {changed}, 1, state, step).empty())
    state.kept.insert(block.layers.begin(), block.layers.end());
}

void FitSteps::tune(FitState& state, FitStep& step) {
  Candidate tuned = state.best;
  const DistillOptions how{.fit_chunks = c_.fit_chunks,
                           .last_chunk = c_.data.chunk_count(),
                           .rounds = c_.tuning_rounds,
                           .threads = c_.options.threads};
  if (!distill(c_.model, c_.sites, c_.plan, c_.data, how, tuned.layers, tuned.activations)) return;
  std::vector<Unit> units = activation_units(c_.sites, state.best.activations);
  const std::vector<Unit> of_layers = layer_units(c_.sites, state.best.layers);
  units.insert(units.end(), of_layers.begin(), of_layers.end());
  if (!accepted(tuned, units, kTrials, state, step).empty()) sweep_.reset();
}

bool FitSteps::asks_for(const std::string& optimizer) const {
  return std::ranges::any_of(
      walked_, [&](const auto& layer) { return c_.plan.layer(layer.first)->method == optimizer; });
}

LayerResults FitSteps::layers_of(const std::string& optimizer) const {
  const bool named = asks_for(optimizer);
  LayerResults layers;
  for (const auto& [name, layer] : walked_) {
    const OptimizerDef& own = find_optimizer(c_.plan.layer(name)->method);
    if (named ? own.name == optimizer : own.needs_moments) layers.emplace(name, layer);
  }
  return layers;
}

// Those that together make most of the noise, each measured with everything else in float: later layers make up for
// errors of earlier ones, so that the noise may rise when a block alone becomes exact.
std::vector<FitStep> FitSteps::noisy_blocks(const FitState& state) const {
  const std::vector<Block> blocks = find_blocks(c_.model, c_.sites, layers_of(kBrecq));
  std::vector<std::pair<double, size_t>> shares;
  double sum = 0;
  for (size_t b = 0; b < blocks.size(); ++b) {
    Candidate one;
    for (const std::string& layer : blocks[b].layers)
      one.layers.emplace(layer, state.best.layers.at(layer));
    const double share = c_.distance(one, Distance::kNoise);
    log(LogLevel::kDebug, cat("block from ", printable(blocks[b].layers.front()),
                              ": held-out noise of its weights ", share));
    shares.emplace_back(share, b);
    sum += share;
  }
  std::ranges::stable_sort(shares, std::greater(), &std::pair<double, size_t>::first);
  std::set<size_t> chosen;
  double covered = 0;
  for (const auto& [share, b] : shares) {
    if (covered >= kShareOfNoise * sum) break;
    covered += share;
    chosen.insert(b);
  }
  std::vector<FitStep> steps;
  for (const size_t b : chosen)
    steps.push_back({.name = kBrecq, .block = blocks[b].layers.front()});
  return steps;
}

bool FitSteps::more(FitState& state) {
  if (!state.fitted || state.kept.empty()) return false;
  while (state.next.empty()) {
    if (state.rounds > 1 && state.noise > (1 - kLeastGain) * state.round_noise) return false;
    ++state.rounds;
    state.round_noise = state.noise;
    if (state.rounds == 1) {
      if (asked_ < sequences_.size()) state.next.push_back({.name = kCyclic});
      continue;
    }
    if (!impossible_.contains(kTuning)) state.next.push_back({.name = kTuning});
    if (impossible_.contains(kBrecq)) continue;
    for (FitStep& block : noisy_blocks(state)) state.next.push_back(std::move(block));
  }
  return true;
}

}  // namespace qtool::qdq
