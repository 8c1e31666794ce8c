#include "score/float_walk.hpp"

#include <algorithm>

namespace qtool {

// For the values of all chunks; fewer chunks are held where they would not fit.
static constexpr int64_t kMemory = int64_t{384} << 20;

const Node& node_of(const Model& model, const LayerSite& site) {
  return *std::find_if(model.graph.nodes.begin(), model.graph.nodes.end(),
                       [&](const Node& n) { return n.name == site.name; });
}

FloatWalk::FloatWalk(const Model& model, const std::vector<const LayerSite*>& layers,
                     const SampleSource& source, int64_t chunks, int threads)
    : threads_(threads) {
  ExecOptions observed;
  for (const LayerSite* site : layers) {
    inputs_[site->name] = model.graph.value(node_of(model, *site).inputs[0]).name;
    observed.observe.insert(inputs_[site->name]);
  }
  executor_.emplace(model, observed);
  const int64_t each = std::max<int64_t>(peak_bytes(source.chunk(0).feed), 1);
  states_.resize(static_cast<size_t>(std::clamp<int64_t>(kMemory / each, 1, chunks)));
  parallel_for(threads, chunks_held(), [&](int64_t c, int) {
    states_[static_cast<size_t>(c)] = executor_->start(source.chunk(c).feed);
  });
}

void FloatWalk::advance_to(const LayerSite& site) {
  parallel_for(threads_, chunks_held(), [&](int64_t c, int) {
    executor_->advance(states_[static_cast<size_t>(c)], step_of(site));
  });
}

int64_t FloatWalk::peak_bytes(const Feed& feed) const {
  State state = executor_->start(feed);
  int64_t most = 0;
  for (int step = 1; step <= executor_->step_count(); ++step) {
    executor_->advance(state, step);
    most = std::max(most, live_bytes(state));
  }
  return most;
}

}  // namespace qtool
