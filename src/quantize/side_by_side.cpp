#include "quantize/side_by_side.hpp"

#include <algorithm>

#include "quantize/channel_means.hpp"

namespace qtool::qdq {
namespace {

const Node& layer_node(const Model& model, const LayerSite& site) {
  for (const Node& node : model.graph.nodes)
    if (node.name == site.name) return node;
  throw_internal(cat("layer '", printable(site.name), "' is not in the graph"));
}

// The model's nodes in the order that they have in `other`, which holds them all: layers must come in
// one order in both networks.
Model in_order_of(Model model, const Model& other) {
  std::map<std::string, size_t> place;
  for (size_t i = 0; i < other.graph.nodes.size(); ++i) place[other.graph.nodes[i].name] = i;
  std::stable_sort(
      model.graph.nodes.begin(), model.graph.nodes.end(),
      [&](const Node& a, const Node& b) { return place.at(a.name) < place.at(b.name); });
  return model;
}

// The most that the values of both networks take at once, for one chunk.
int64_t peak_bytes(const Executor& a, const Executor& b, const Feed& feed) {
  const auto peak = [&](const Executor& executor) {
    State state = executor.start(feed);
    int64_t most = 0;
    for (int step = 1; step <= executor.step_count(); ++step) {
      executor.advance(state, step);
      most = std::max(most, live_bytes(state));
    }
    return most;
  };
  return peak(a) + peak(b);
}

}  // namespace

SideBySide::SideBySide(const Model& reference, const Model& quantized,
                       const std::vector<const LayerSite*>& layers, const SampleSource& source,
                       int64_t chunks, int64_t memory, int threads)
    : threads_(threads) {
  ExecOptions observed_in_reference, observed_in_quantized;
  for (const LayerSite* site : layers) {
    const Node &a = layer_node(reference, *site), &b = layer_node(quantized, *site);
    Names& names = names_[site->name];
    names.reference_input = reference.graph.value(a.inputs[0]).name;
    names.quantized_input = quantized.graph.value(b.inputs[0]).name;
    names.reference_output = reference.graph.value(a.outputs[0]).name;
    names.quantized_output = quantized.graph.value(b.outputs[0]).name;
    observed_in_reference.observe.insert({names.reference_input, names.reference_output});
    observed_in_quantized.observe.insert({names.quantized_input, names.quantized_output});
  }
  reference_.emplace(in_order_of(reference, quantized), observed_in_reference);
  quantized_.emplace(quantized, observed_in_quantized);
  const int64_t each = peak_bytes(*reference_, *quantized_, source.chunk(0).feed);
  chunks = std::clamp<int64_t>(memory / std::max<int64_t>(each, 1), 1, chunks);
  chunks_.resize(static_cast<size_t>(chunks));
  parallel_for(threads, chunks, [&](int64_t c, int) {
    const Batch batch = source.chunk(c);
    chunks_[static_cast<size_t>(c)] = {reference_->start(batch.feed),
                                       quantized_->start(batch.feed)};
  });
}

void SideBySide::advance_to(const LayerSite& site) {
  parallel_for(threads_, chunks(), [&](int64_t c, int) {
    Pair& pair = chunks_[static_cast<size_t>(c)];
    reference_->advance(pair.reference, reference_->step_of(site.name));
    quantized_->advance(pair.quantized, quantized_->step_of(site.name));
  });
}

InputPair SideBySide::input(const LayerSite& site, int64_t chunk) const {
  const Pair& pair = chunks_[static_cast<size_t>(chunk)];
  return {reference_->get(pair.reference, names(site).reference_input),
          quantized_->get(pair.quantized, names(site).quantized_input)};
}

std::vector<float> SideBySide::run_layer(const LayerSite& site, const Tensor& weight) {
  const Names& value = names(site);
  std::vector<ChannelMeans> want(chunks_.size()), have(chunks_.size());
  parallel_for(threads_, chunks(), [&](int64_t c, int) {
    const auto i = static_cast<size_t>(c);
    Pair& pair = chunks_[i];
    quantized_->set(pair.quantized, site.weight, weight);
    reference_->advance(pair.reference, reference_->step_of(site.name) + 1);
    quantized_->advance(pair.quantized, quantized_->step_of(site.name) + 1);
    want[i].add(reference_->get(pair.reference, value.reference_output), site.dense);
    have[i].add(quantized_->get(pair.quantized, value.quantized_output), site.dense);
  });
  for (size_t i = 1; i < want.size(); ++i) {
    want[0].merge(want[i]);
    have[0].merge(have[i]);
  }
  std::vector<float> shift;
  for (size_t c = 0; c < want[0].channels(); ++c)
    shift.push_back(static_cast<float>(want[0].mean(c) - have[0].mean(c)));
  return shift;
}

void SideBySide::shift_output(const LayerSite& site, const std::vector<float>& shift) {
  const std::string& output = names(site).quantized_output;
  parallel_for(threads_, chunks(), [&](int64_t c, int) {
    State& state = chunks_[static_cast<size_t>(c)].quantized;
    quantized_->set(state, output, shifted(quantized_->get(state, output), shift, site.dense));
  });
}

}  // namespace qtool::qdq
