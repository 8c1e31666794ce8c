#include "quantize/fit/block_learner.hpp"

#include <algorithm>
#include <numbers>

namespace qtool::qdq {
namespace {

using Kind = TunableNetwork::Knob::Kind;

// Chunks whose gradients are summed for one step: fixed, so that results do not depend on threads.
constexpr int64_t kChunksPerStep = 4;
// Chunks run at once where all are run.
constexpr int64_t kChunksAtOnce = 8;
constexpr double kCodeRate = 5e-2, kKnobRate = 2e-3;
// Steps that learn codes, the others scales and biases: together, scales would follow shares that rounding then takes
// away.
constexpr double kCodeSteps = 0.6;
constexpr double kFree = 0.2;  // share of the steps of codes without the regulariser
constexpr double kFirstPower = 20, kLastPower = 2;  // of the regulariser, sharp to soft

}  // namespace

BlockLearner::BlockLearner(const TunableNetwork& network, const Block& block,
                           std::vector<Feed> feeds, Tensors mixed, const std::vector<Tensors>& want,
                           BlockError error, const ReconstructOptions& options)
    : block_(block),
      feeds_(std::move(feeds)),
      mixed_(std::move(mixed)),
      want_(want),
      error_(std::move(error)),
      options_(options) {
  const Model part = block_of(network.model(), block);
  const Graph& all = network.model().graph;
  const Uses uses = uses_of(all), here = uses_of(part.graph);
  std::vector<std::string> moving, raw;
  for (const TunableNetwork::Knob& knob : network.knobs()) {
    const ValueId v = part.graph.find(knob.name);
    if (v == ValueId::kNone) continue;
    for (Feed& feed : feeds_) feed[knob.name] = knob.start;
    // Scales that other blocks use, too, stay.
    if (uses.consumers[index(all.find(knob.name))].size() != here.consumers[index(v)].size())
      continue;
    moving.push_back(knob.name);
  }
  for (const auto& [layer, value] : network.raw_outputs())
    if (part.graph.find(value) != ValueId::kNone) raw.push_back(value);
  gradient_.emplace(part, moving, raw);
  const Gradient::Tape tape = gradient_->forward(feeds_[0]);
  for (const TunableNetwork::Knob& knob : network.knobs()) {
    if (std::ranges::find(moving, knob.name) == moving.end()) continue;
    const auto of = network.raw_outputs().find(knob.of);
    knobs_.push_back(&knob);
    descents_.emplace_back(
        knob, of == network.raw_outputs().end() ? Tensor() : gradient_->value(tape, of->second));
  }
}

void BlockLearner::run(const Sites& sites, const LayerResults& start) {
  const double before = error();
  const std::vector<std::vector<double>> slopes = mean_slopes();
  for (size_t k = 0; k < knobs_.size(); ++k) {
    if (knobs_[k]->kind != Kind::kWeight || slopes[k].empty()) continue;
    const std::string& layer = knobs_[k]->of;
    soft_.try_emplace(k, start.at(layer), sites.layer(layer)->channel_axis, slopes[k]);
    descents_[k].set(soft_.at(k).weights());
  }
  const int code_steps = soft_.empty() ? 0 : static_cast<int>(kCodeSteps * options_.steps);
  for (int t = 0; t < code_steps; ++t)
    move_codes(draw_gradients(), static_cast<double>(t) / code_steps);
  for (auto& [k, soft] : soft_) {
    soft.harden();
    descents_[k].set(soft.weights());
  }
  if (!soft_.empty() && error() >= before) {
    for (const auto& [k, soft] : soft_) descents_[k].set(knobs_[k]->start);
    soft_.clear();
  }
  const int knob_steps = options_.steps - code_steps;
  for (int t = 0; t < knob_steps; ++t)
    move_knobs(draw_gradients(), static_cast<double>(t) / knob_steps);
}

double BlockLearner::error() const {
  std::vector<double> parts(want_.size());
  parallel_for(options_.threads, static_cast<int64_t>(want_.size()), [&](int64_t c, int) {
    const auto i = static_cast<size_t>(c);
    parts[i] = error_.of(want_[i], gradient_->forward(feed(i)).outputs);
  });
  double sum = 0;
  for (const double p : parts) sum += p / static_cast<double>(parts.size());
  return sum;
}

void BlockLearner::apply(const TunableNetwork& network, Candidate& candidate) const {
  Tensors values;
  for (const TunableNetwork::Knob& knob : network.knobs()) {
    const auto at = std::ranges::find(knobs_, &knob);
    values.push_back(at == knobs_.end()
                         ? knob.start
                         : descents_[static_cast<size_t>(at - knobs_.begin())].value());
  }
  for (const auto& [k, soft] : soft_)
    candidate.layers.at(knobs_[k]->of).weight.codes = soft.codes();
  network.apply(values, candidate.layers, candidate.activations);
}

Feed BlockLearner::feed(size_t chunk) const {
  Feed feed = feeds_[chunk];
  for (size_t k = 0; k < knobs_.size(); ++k) feed[knobs_[k]->name] = descents_[k].value();
  return feed;
}

// Some elements of the block's input, another choice in every draw, as the float network has them.
Feed BlockLearner::mixed_feed(size_t chunk, int64_t draw) const {
  Feed mixed = feed(chunk);
  if (options_.how.mixed <= 0 || !mixed_[chunk].defined()) return mixed;
  Rng random(static_cast<uint64_t>(draw) + 1);
  Tensor& x = mixed.at(block_.input);
  auto to = x.mutable_data<float>();
  const auto from = mixed_[chunk].data<float>();
  const auto limit = static_cast<uint64_t>(options_.how.mixed * 256);
  for (size_t e = 0; e < to.size();) {
    uint64_t bits = random.next();
    for (int b = 0; b < 8 && e < to.size(); ++b, ++e, bits >>= 8)
      if ((bits & 255) < limit) to[e] = from[e];
  }
  return mixed;
}

std::map<std::string, Tensor> BlockLearner::gradients_of(const Feed& feed, size_t chunk) const {
  const Gradient::Tape tape = gradient_->forward(feed);
  return gradient_->backward(tape, error_.slopes(want_[chunk], tape.outputs));
}

// By knob, summed over all chunks; only those of weights.
std::vector<std::vector<double>> BlockLearner::mean_slopes() const {
  std::vector<std::vector<double>> sum(knobs_.size());
  for (size_t first = 0; first < want_.size(); first += kChunksAtOnce) {
    ChunkGradients found(std::min<size_t>(kChunksAtOnce, want_.size() - first));
    parallel_for(options_.threads, static_cast<int64_t>(found.size()), [&](int64_t i, int) {
      const auto at = static_cast<size_t>(i);
      found[at] = gradients_of(feed(first + at), first + at);
    });
    for (size_t k = 0; k < knobs_.size(); ++k) {
      if (knobs_[k]->kind != Kind::kWeight) continue;
      const std::vector<double> part = summed(found, knobs_[k]->name);
      sum[k].resize(part.size(), 0.0);
      for (size_t i = 0; i < part.size(); ++i) sum[k][i] += part[i];
    }
  }
  return sum;
}

ChunkGradients BlockLearner::draw_gradients() {
  ChunkGradients found(kChunksPerStep);
  std::vector<size_t> chunks(found.size());
  for (size_t& chunk : chunks) chunk = random_.below(want_.size());
  parallel_for(options_.threads, kChunksPerStep, [&](int64_t i, int) {
    const auto at = static_cast<size_t>(i);
    found[at] = gradients_of(mixed_feed(chunks[at], drawn_ + i), chunks[at]);
  });
  drawn_ += kChunksPerStep;
  return found;
}

void BlockLearner::move_codes(const ChunkGradients& found, double done) {
  const double cooled = (done - kFree) / (1 - kFree);
  const double power = done < kFree ? 0 : kLastPower + (kFirstPower - kLastPower) * (1 - cooled);
  for (auto& [k, soft] : soft_) {
    soft.step(summed(found, knobs_[k]->name), kCodeRate, power);
    descents_[k].set(soft.weights());
  }
}

void BlockLearner::move_knobs(const ChunkGradients& found, double done) {
  const double rate = kKnobRate * 0.5 * (1 + std::cos(std::numbers::pi * done));
  for (size_t k = 0; k < knobs_.size(); ++k)
    if (knobs_[k]->kind != Kind::kWeight) descents_[k].step(rate, found);
}

}  // namespace qtool::qdq
