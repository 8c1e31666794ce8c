#include "quantize/fit/side_by_side.hpp"

#include <algorithm>
#include <utility>

#include "quantize/fit/layer_surroundings.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// Chunks that catch up at the same time, at most: fixed, so that results do not depend on threads.
constexpr int kCatchingUp = 4;

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

// A live value around a layer.
ChannelBlocks as_it_lies(const Executor& executor, const State& state, const LayerSite& site,
                         const std::string& name) {
  return site.dense ? row_major(executor.get(state, name)) : executor.blocks(state, name);
}

// The most bytes that a network's values take at once from each of `steps` (increasing) on. Packed weights go
// as soon as their step has run: neither network ever holds all of them.
std::vector<int64_t> peaks_from(const Executor& executor, const std::vector<int>& steps,
                                const Feed& feed) {
  std::vector<int64_t> peaks(steps.size(), 0);
  State state = executor.start(feed);
  for (int step = 1; step <= executor.step_count(); ++step) {
    executor.advance(state, step);
    // A step's inputs are alive until it has run.
    const auto at = std::upper_bound(steps.begin(), steps.end(), step) - steps.begin();
    int64_t& peak = peaks[static_cast<size_t>(std::max<int64_t>(at - 1, 0))];
    peak = std::max(peak, live_bytes(state));
    executor.forget(step - 1, step);
  }
  for (size_t i = peaks.size(); i-- > 1;) peaks[i - 1] = std::max(peaks[i - 1], peaks[i]);
  return peaks;
}

template <typename Sums>
std::vector<float> merged_shift(std::vector<Sums>& of_chunks) {
  for (size_t i = 1; i < of_chunks.size(); ++i) of_chunks[0].merge(of_chunks[i]);
  return of_chunks[0].shift();
}

}  // namespace

SideBySide::SideBySide(const Model& reference, const Model& quantized,
                       const std::vector<const LayerSite*>& layers, const SampleSource& source,
                       int64_t chunks, int64_t wanted, int64_t memory, int threads)
    : source_(source), threads_(threads) {
  const Model ordered = in_order_of(reference, quantized);
  const Uses uses = uses_of(ordered.graph), quantized_uses = uses_of(quantized.graph);
  ExecOptions observed_in_reference, observed_in_quantized;
  for (const LayerSite* site : layers) {
    const Node &a = layer_node(ordered, *site), &b = layer_node(quantized, *site);
    Names& names = names_[site->name];
    names.reference_input = ordered.graph.value(a.inputs[0]).name;
    names.quantized_input = quantized.graph.value(b.inputs[0]).name;
    names.reference_output = ordered.graph.value(a.outputs[0]).name;
    names.quantized_output = quantized.graph.value(b.outputs[0]).name;
    names.active = active_range(ordered, uses, a);
    const Operand residual = added_behind(ordered, uses, a);
    if (residual.node) {
      names.quantized_residual = same_operand(quantized, quantized_uses, residual, b);
      if (!names.quantized_residual.empty())
        names.reference_residual = ordered.graph.value(residual.value()).name;
    }
    if (!names.reference_residual.empty()) {
      observed_in_reference.observe.insert(names.reference_residual);
      observed_in_quantized.observe.insert(names.quantized_residual);
    }
    observed_in_reference.observe.insert({names.reference_input, names.reference_output});
    observed_in_quantized.observe.insert({names.quantized_input, names.quantized_output});
  }
  reference_.emplace(ordered, observed_in_reference);
  quantized_.emplace(quantized, observed_in_quantized);
  wanted = std::clamp<int64_t>(wanted, 1, chunks);
  stride_ = chunks / wanted;
  find_room(layers, memory, wanted);
  admit(layers.empty() ? 1 : room_.at(layers[0]->name));
}

void SideBySide::find_room(const std::vector<const LayerSite*>& layers, int64_t memory,
                           int64_t wanted) {
  const auto peaks = [&](const Executor& executor) {
    std::vector<int> steps;
    for (const LayerSite* site : layers) steps.push_back(executor.step_of(site->name));
    return peaks_from(executor, steps, source_.chunk(0).feed);
  };
  const std::vector<int64_t> a = peaks(*reference_), b = peaks(*quantized_);
  for (size_t i = 0; i < layers.size(); ++i) {
    // Chunks that catch up pass the places that need the most.
    const int64_t left = i == 0 ? memory : memory - kCatchingUp * (a[0] + b[0]);
    const int64_t fit = std::clamp<int64_t>(left / std::max<int64_t>(a[i] + b[i], 1), 1, wanted);
    most_ = std::max(most_, fit);
    room_[layers[i]->name] = most_;
  }
}

void SideBySide::admit(int64_t count) {
  const int64_t first = chunks();
  if (count <= first) return;
  chunks_.resize(static_cast<size_t>(count));
  parallel_for(std::min<int>(threads_, kCatchingUp), count - first, [&](int64_t i, int) {
    chunks_[static_cast<size_t>(first + i)] = caught_up((first + i) * stride_);
  });
  reference_forgotten_ = quantized_forgotten_ = 0;  // the steps behind ran once more
}

// A chunk of the source, run past the layers that are decided.
SideBySide::Pair SideBySide::caught_up(int64_t chunk) const {
  const Batch batch = source_.chunk(chunk);
  Pair pair{reference_->start(batch.feed), quantized_->start(batch.feed)};
  for (const Decided& layer : decided_) {
    quantized_->set(pair.quantized, layer.site->weight, layer.weight);
    reference_->advance(pair.reference, reference_->step_of(layer.site->name) + 1);
    quantized_->advance(pair.quantized, quantized_->step_of(layer.site->name) + 1);
    shift_output(pair.quantized, layer);
  }
  return pair;
}

void SideBySide::arrive_at(const LayerSite& site) {
  admit(room_.at(site.name));
  forget_passed();
}

void SideBySide::sweep(const std::function<void(Pair&, size_t)>& visit) {
  parallel_for(threads_, chunks(), [&](int64_t c, int) {
    Pair& pair = chunks_[static_cast<size_t>(c)];
    if (std::exchange(pair.shift_due, false)) shift_output(pair.quantized, decided_.back());
    visit(pair, static_cast<size_t>(c));
  });
}

void SideBySide::advance_to(const LayerSite& site) {
  arrive_at(site);
  sweep([&](Pair& pair, size_t) {
    reference_->advance(pair.reference, reference_->step_of(site.name));
    pair.before = pair.reference;
    reference_->advance(pair.reference, reference_->step_of(site.name) + 1);
    quantized_->advance(pair.quantized, quantized_->step_of(site.name));
  });
}

void SideBySide::forget_passed() {
  // Every chunk stands at the same step.
  const auto forget = [](const Executor& executor, const State& state, int& forgotten) {
    const int next = executor.next_step(state);
    executor.forget(forgotten, next);
    forgotten = next;
  };
  forget(*reference_, chunks_[0].reference, reference_forgotten_);
  forget(*quantized_, chunks_[0].quantized, quantized_forgotten_);
}

ChannelBlocks SideBySide::value(const LayerSite& site, LayerValue what, int64_t chunk) const {
  const Pair& pair = chunks_[static_cast<size_t>(chunk)];
  const Names& value = names(site);
  const auto get = [&](const Executor& executor, const State& state, const std::string& name) {
    return as_it_lies(executor, state, site, name);
  };
  switch (what) {
    case LayerValue::kInput: {
      const ChannelBlocks input = get(*reference_, pair.before, value.reference_input);
      const bool same = input.data == get(*quantized_, pair.quantized, value.quantized_input).data;
      return same ? ChannelBlocks() : input;
    }
    case LayerValue::kQuantizedInput:
      return get(*quantized_, pair.quantized, value.quantized_input);
    case LayerValue::kOutput:
      return get(*reference_, pair.reference, value.reference_output);
    case LayerValue::kResidual:
      if (value.reference_residual.empty()) return {};
      return get(*reference_, pair.reference, value.reference_residual);
    case LayerValue::kQuantizedResidual:
      return get(*quantized_, pair.quantized, value.quantized_residual);
  }
  return {};
}

std::vector<float> SideBySide::run_layer(const LayerSite& site, const Tensor& weight,
                                         bool rounded) {
  arrive_at(site);
  const Names& value = names(site);
  const bool behind_activation = rounded && value.active;
  std::vector<MissingMeans> means(chunks_.size());
  std::vector<ActiveShift> shifts;
  if (behind_activation) shifts.assign(chunks_.size(), ActiveShift(*value.active));
  sweep([&](Pair& pair, size_t chunk) {
    pair.before = State();
    reference_->advance(pair.reference, reference_->step_of(site.name) + 1);
    quantized_->set(pair.quantized, site.weight, weight);
    quantized_->advance(pair.quantized, quantized_->step_of(site.name) + 1);
    // While the outputs are in the caches.
    if (behind_activation)
      add_missing(shifts[chunk], pair, site);
    else
      add_missing(means[chunk], pair, site);
  });
  // Chunks that follow later run all of them; the others' shift may be due.
  if (chunks() == most_) decided_.clear();
  decided_.push_back({&site, weight, {}});
  return behind_activation ? merged_shift(shifts) : merged_shift(means);
}

void SideBySide::add_missing(MissingMeans& means, const Pair& pair, const LayerSite& site) const {
  const auto add = [&](ChannelMeans& sums, const Executor& executor, const State& state,
                       const std::string& name) {
    if (site.dense)
      sums.add_rows(executor.get(state, name));
    else
      sums.add(executor.blocks(state, name));
  };
  const Names& value = names(site);
  add(means.want, *reference_, pair.reference, value.reference_output);
  add(means.have, *quantized_, pair.quantized, value.quantized_output);
  if (value.reference_residual.empty()) return;
  add(means.residual_want, *reference_, pair.reference, value.reference_residual);
  add(means.residual_have, *quantized_, pair.quantized, value.quantized_residual);
}

void SideBySide::add_missing(ActiveShift& shift, const Pair& pair, const LayerSite& site) const {
  const Names& value = names(site);
  ChannelBlocks want = as_it_lies(*reference_, pair.reference, site, value.reference_output),
                have = as_it_lies(*quantized_, pair.quantized, site, value.quantized_output);
  if (want.block != have.block) {
    want = row_major(reference_->get(pair.reference, value.reference_output));
    have = row_major(quantized_->get(pair.quantized, value.quantized_output));
  }
  shift.add(want, have, site.dense);
}

void SideBySide::shift_output(State& state, const Decided& layer) const {
  if (layer.shift.empty()) return;
  quantized_->shift_channels(state, names(*layer.site).quantized_output, layer.shift,
                             layer.site->dense);
}

void SideBySide::shift_output(const std::vector<float>& shift) {
  decided_.back().shift = shift;
  for (Pair& pair : chunks_) pair.shift_due = true;
}

}  // namespace qtool::qdq
