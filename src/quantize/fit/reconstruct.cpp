#include "quantize/fit/reconstruct.hpp"

#include <algorithm>
#include <numbers>

#include "qtool/exec.hpp"
#include "quantize/fit/block_error.hpp"
#include "quantize/fit/knob_descent.hpp"
#include "quantize/fit/soft_rounding.hpp"

namespace qtool::qdq {
namespace {

using Tensors = std::vector<Tensor>;
using Kind = TunableNetwork::Knob::Kind;

// Chunks whose gradients are summed for one step: fixed, so that results do not depend on threads.
constexpr int64_t kChunksPerStep = 4;
// Chunks run at once where all are run, and those that weights of channels are taken from.
constexpr int64_t kChunksAtOnce = 8;
constexpr double kCodeRate = 5e-2, kKnobRate = 2e-3;
// Steps that learn codes, the others scales and biases: together, scales would follow shares that rounding then takes
// away.
constexpr double kCodeSteps = 0.6;
constexpr double kFree = 0.2;  // share of the steps of codes without the regulariser
constexpr double kFirstPower = 20, kLastPower = 2;  // of the regulariser, sharp to soft

bool learns_codes(const LayerSite& site, const LayerChoice& choice, const LayerResult& layer) {
  return site.column_product && !layer.weight.codebook && layer.weight.place_scales.empty() &&
         choice.filter_bits.empty() && layer.bits < 8;
}

// One block's fit.
class Fit {
 public:
  // `feeds`: by chunk, what the block reads in the quantized network; `mixed`: its input in the float network, by chunk.
  Fit(const TunableNetwork& network, const Block& block, std::vector<Feed> feeds, Tensors mixed,
      const std::vector<Tensors>& want, BlockError error, const ReconstructOptions& options)
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

  void run(const Sites& sites, const LayerResults& start) {
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

  // Mean error over the chunks.
  double error() const {
    std::vector<double> parts(want_.size());
    parallel_for(options_.threads, static_cast<int64_t>(want_.size()), [&](int64_t c, int) {
      const auto i = static_cast<size_t>(c);
      parts[i] = error_.of(want_[i], gradient_->forward(feed(i)).outputs);
    });
    double sum = 0;
    for (const double p : parts) sum += p / static_cast<double>(parts.size());
    return sum;
  }

  void apply(const TunableNetwork& network, Candidate& candidate) const {
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

 private:
  Feed feed(size_t chunk) const {
    Feed feed = feeds_[chunk];
    for (size_t k = 0; k < knobs_.size(); ++k) feed[knobs_[k]->name] = descents_[k].value();
    return feed;
  }

  // Some elements of the block's input, another choice in every draw, as the float network has them.
  Feed mixed_feed(size_t chunk, int64_t draw) const {
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

  std::map<std::string, Tensor> gradients_of(const Feed& feed, size_t chunk) const {
    const Gradient::Tape tape = gradient_->forward(feed);
    return gradient_->backward(tape, error_.slopes(want_[chunk], tape.outputs));
  }

  // By knob, summed over all chunks; only those of weights.
  std::vector<std::vector<double>> mean_slopes() const {
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

  ChunkGradients draw_gradients() {
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

  void move_codes(const ChunkGradients& found, double done) {
    const double cooled = (done - kFree) / (1 - kFree);
    const double power = done < kFree ? 0 : kLastPower + (kFirstPower - kLastPower) * (1 - cooled);
    for (auto& [k, soft] : soft_) {
      soft.step(summed(found, knobs_[k]->name), kCodeRate, power);
      descents_[k].set(soft.weights());
    }
  }

  void move_knobs(const ChunkGradients& found, double done) {
    const double rate = kKnobRate * 0.5 * (1 + std::cos(std::numbers::pi * done));
    for (size_t k = 0; k < knobs_.size(); ++k)
      if (knobs_[k]->kind != Kind::kWeight) descents_[k].step(rate, found);
  }

  const Block& block_;
  std::vector<Feed> feeds_;
  Tensors mixed_;
  const std::vector<Tensors>& want_;
  BlockError error_;
  const ReconstructOptions& options_;
  std::optional<Gradient> gradient_;
  std::vector<const TunableNetwork::Knob*> knobs_;  // those that move
  std::vector<KnobDescent> descents_;
  std::map<size_t, SoftRounding> soft_;  // by knob
  Rng random_{1};                        // draws chunks
  int64_t drawn_ = 0;
};

int64_t bytes_of(const Tensor& tensor) { return tensor.size() * 4; }

}  // namespace

Reconstruction::Reconstruction(const Model& model, const Sites& sites, const QuantPlan& plan,
                               const SampleSource& source, const LayerResults& layers,
                               const ReconstructOptions& options)
    : model_(model),
      sites_(sites),
      plan_(plan),
      source_(source),
      options_(options),
      blocks_(find_blocks(model, sites, layers)) {
  find_room();
  if (options.how.weighted) weigh_channels();
}

// As many chunks as memory holds of what both networks have at a block's input and output.
void Reconstruction::find_room() {
  int64_t most = 1;
  const Batch batch = source_.chunk(0);
  Block all{"", {}, {}};
  for (const Block& block : blocks_)
    all.outputs.insert(all.outputs.end(), block.outputs.begin(), block.outputs.end());
  if (all.outputs.empty()) return;
  const Model tapped = block_of(model_, all);
  const Tensors values = Executor(tapped).run(feed(all, tapped, 0, {}));
  int64_t before = 0;
  size_t at = 0;
  for (const auto& [name, tensor] : batch.feed) before += bytes_of(tensor);
  for (const Block& block : blocks_) {
    int64_t here = 0;
    for (size_t o = 0; o < block.outputs.size(); ++o) here += bytes_of(values[at++]);
    most = std::max(most, 2 * (before + here));
    before = here;
  }
  const int64_t count = std::clamp<int64_t>(options_.memory / most, 1, options_.fit_chunks);
  if (count < options_.fit_chunks)
    log(LogLevel::kInfo,
        cat("blocks are fitted on ", count, " of ", options_.fit_chunks,
            " chunks of data: more would not fit into ", options_.memory >> 20, " MiB"));
  for (int64_t i = 0; i < count; ++i) inputs_.push_back({.chunk = i * options_.fit_chunks / count});
}

void Reconstruction::weigh_channels() {
  std::vector<std::string> values;
  for (const Block& block : blocks_)
    if (&block != &blocks_.back()) values.push_back(block.outputs[0]);
  std::vector<int64_t> chunks;
  const auto count = static_cast<int64_t>(inputs_.size());
  for (int64_t i = 0; i < std::min(count, kChunksAtOnce); ++i)
    chunks.push_back(
        inputs_[static_cast<size_t>(i * count / std::min(count, kChunksAtOnce))].chunk);
  weights_ = channel_weights(model_, values, source_, chunks, options_.threads);
}

// What a part reads of the model's own inputs, and its block's input.
Feed Reconstruction::feed(const Block& block, const Model& part, int64_t chunk,
                          const Tensor& input) const {
  Feed feed;
  std::optional<Batch> batch;
  for (const ValueId v : part.graph.inputs) {
    const std::string& name = part.graph.value(v).name;
    if (name == block.input) {
      feed[name] = input;
    } else if (model_.graph.find(name) != ValueId::kNone) {
      if (!batch) batch = source_.chunk(chunk);
      feed[name] = batch->feed.at(name);
    }
  }
  return feed;
}

std::vector<Tensors> Reconstruction::wanted(const Block& block) const {
  const Model part = block_of(model_, block);
  const Executor executor(part);
  std::vector<Tensors> want(inputs_.size());
  parallel_for(options_.threads, static_cast<int64_t>(want.size()), [&](int64_t c, int) {
    const auto i = static_cast<size_t>(c);
    want[i] = executor.run(feed(block, part, inputs_[i].chunk, inputs_[i].reference));
  });
  return want;
}

Candidate Reconstruction::propose(const Block& block, const Candidate& now) const {
  std::set<std::string> open;
  for (const std::string& name : block.layers) {
    if (learns_codes(*sites_.layer(name), *plan_.layer(name), now.layers.at(name)))
      open.insert(name);
  }
  const TunableNetwork network(model_, sites_, plan_, now.activations, now.layers, open);
  const Model part = block_of(network.model(), block);
  std::vector<Feed> feeds;
  Tensors mixed;
  for (const Inputs& inputs : inputs_) {
    feeds.push_back(feed(block, part, inputs.chunk, inputs.quantized));
    mixed.push_back(inputs.reference);
  }
  const std::vector<Tensors> want = wanted(block);
  std::vector<std::vector<float>> weights;
  for (const std::string& output : block.outputs) {
    const auto found = weights_.find(output);
    weights.push_back(found == weights_.end() ? std::vector<float>() : found->second);
  }
  Fit fit(network, block, std::move(feeds), std::move(mixed), want,
          BlockError(want, std::move(weights)), options_);
  const double before = fit.error();
  fit.run(sites_, now.layers);
  Candidate candidate = now;
  fit.apply(network, candidate);
  const double after = fit.error();
  log(LogLevel::kDebug,
      cat("block of ", block.layers.front(), ": error ", before, " before, ", after, " after"));
  return after < before ? candidate : now;
}

void Reconstruction::pass(const Block& block, const Candidate& now) {
  std::vector<Tensors> want = wanted(block);
  const TunableNetwork network(model_, sites_, plan_, now.activations, now.layers);
  const Model part = block_of(network.model(), block);
  const Executor executor(part);
  parallel_for(options_.threads, static_cast<int64_t>(want.size()), [&](int64_t c, int) {
    const auto i = static_cast<size_t>(c);
    Feed f = feed(block, part, inputs_[i].chunk, inputs_[i].quantized);
    for (const TunableNetwork::Knob& knob : network.knobs())
      if (part.graph.find(knob.name) != ValueId::kNone) f[knob.name] = knob.start;
    inputs_[i].quantized = executor.run(f)[0];
    inputs_[i].reference = std::move(want[i][0]);
  });
}

}  // namespace qtool::qdq
