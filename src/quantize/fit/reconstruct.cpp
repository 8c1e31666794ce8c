#include "quantize/fit/reconstruct.hpp"

#include <algorithm>

#include "qtool/exec.hpp"
#include "quantize/fit/block_error.hpp"
#include "quantize/fit/block_learner.hpp"

namespace qtool::qdq {
namespace {

using Tensors = std::vector<Tensor>;

// Chunks that weights of channels are taken from.
constexpr int64_t kChunksForWeights = 8;

bool learns_codes(const LayerSite& site, const LayerChoice& choice, const LayerResult& layer) {
  return site.column_product && !layer.weight.codebook && layer.weight.place_scales.empty() &&
         choice.filter_bits.empty() && layer.bits < 8;
}

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
  for (int64_t i = 0; i < std::min(count, kChunksForWeights); ++i)
    chunks.push_back(
        inputs_[static_cast<size_t>(i * count / std::min(count, kChunksForWeights))].chunk);
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
  BlockLearner learner(network, block, std::move(feeds), std::move(mixed), want,
                       BlockError(want, std::move(weights)), options_);
  const double before = learner.error();
  learner.run(sites_, now.layers);
  Candidate candidate = now;
  learner.apply(network, candidate);
  const double after = learner.error();
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
