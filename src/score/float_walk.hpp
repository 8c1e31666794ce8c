// The float network, stopped in front of one layer after another.
#pragma once

#include <map>
#include <optional>

#include "qtool/data.hpp"
#include "qtool/exec.hpp"
#include "qtool/plan.hpp"

namespace qtool {

const Node& node_of(const Model& model, const LayerSite& site);

// The float network over chunks of data, run up to one layer after another.
class FloatWalk {
 public:
  FloatWalk(const Model& model, const std::vector<const LayerSite*>& layers,
            const SampleSource& source, int64_t chunks, int threads);

  int64_t chunks_held() const { return static_cast<int64_t>(states_.size()); }
  int step_of(const LayerSite& site) const { return executor_->step_of(site.name); }
  const std::string& input(const LayerSite& site) const { return inputs_.at(site.name); }
  void advance_to(const LayerSite& site);
  ChannelBlocks value(const LayerSite& site, int64_t chunk) const {
    const State& state = states_[static_cast<size_t>(chunk)];
    return site.dense ? row_major(executor_->get(state, input(site)))
                      : executor_->blocks(state, input(site));
  }

 private:
  int64_t peak_bytes(const Feed& feed) const;

  int threads_;
  std::map<std::string, std::string> inputs_;  // by layer
  std::optional<Executor> executor_;
  std::vector<State> states_;
};

}  // namespace qtool
