#include "score/weight_changes.hpp"

#include <algorithm>

#include "qtool/exec.hpp"
#include "quantize/moments.hpp"

namespace qtool::fisher {
namespace {

// Fewer than the optimising walk takes: prices are averages over many rows and columns.
constexpr int64_t kPositions = 4096, kGroupedPositions = 1024;
// For the values of the float network over all chunks.
constexpr int64_t kMemory = int64_t{384} << 20;

const Node& node_of(const Model& model, const LayerSite& site) {
  return *std::find_if(model.graph.nodes.begin(), model.graph.nodes.end(),
                       [&](const Node& n) { return n.name == site.name; });
}

// The float network over chunks of data, run up to one layer after another.
class Walk {
 public:
  Walk(const Model& model, const std::vector<const LayerSite*>& layers, const SampleSource& source,
       int64_t chunks, int threads)
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

  int64_t chunks_held() const { return static_cast<int64_t>(states_.size()); }
  int step_of(const LayerSite& site) const { return executor_->step_of(site.name); }
  const std::string& input(const LayerSite& site) const { return inputs_.at(site.name); }
  void advance_to(const LayerSite& site) {
    parallel_for(threads_, chunks_held(), [&](int64_t c, int) {
      executor_->advance(states_[static_cast<size_t>(c)], step_of(site));
    });
  }
  Tensor value(const LayerSite& site, int64_t chunk) const {
    return executor_->get(states_[static_cast<size_t>(chunk)], input(site));
  }

 private:
  int64_t peak_bytes(const Feed& feed) const {
    State state = executor_->start(feed);
    int64_t most = 0;
    for (int step = 1; step <= executor_->step_count(); ++step) {
      executor_->advance(state, step);
      most = std::max(most, live_bytes(state));
    }
    return most;
  }

  int threads_;
  std::map<std::string, std::string> inputs_;  // by layer
  std::optional<Executor> executor_;
  std::vector<State> states_;
};

class Optimized {
 public:
  Optimized(const Model& model, const CalibrationTable& table, const WeightChangeOptions& options)
      : model_(model), table_(table), options_(options) {}

  // By width; undefined where the weight stays float.
  std::vector<Tensor> changes(const LayerSite& site, const Walk* walk) {
    const Tensor& weight = *model_.graph.constant(model_.graph.find(site.weight));
    const InputMoments* moments =
        walk && site.column_product ? &moments_of(site, weight, *walk) : nullptr;
    std::vector<Tensor> changes;
    for (int bits : options_.bits) {
      changes.emplace_back();
      if (bits == kFloatBits) continue;
      changes.back() = dequantized(codes(site, weight, bits, moments), site.channel_axis);
      const auto wanted = weight.data<float>();
      auto change = changes.back().mutable_data<float>();
      for (size_t i = 0; i < change.size(); ++i) change[i] -= wanted[i];
    }
    return changes;
  }

 private:
  WeightCodes codes(const LayerSite& site, const Tensor& weight, int bits,
                    const InputMoments* moments) const {
    if (!moments) {
      return optimize_layer(weight, site,
                            {.name = site.name, .weight_bits = bits, .method = options_.optimizer},
                            table_);
    }
    return find_optimizer(options_.optimizer)
        .optimize({.weight = weight,
                   .channel_axis = site.channel_axis,
                   .bits = bits,
                   .input_mean_square = {},
                   .moments = moments,
                   .threads = options_.threads});
  }

  // Dense layers that read one value share its moments.
  const InputMoments& moments_of(const LayerSite& site, const Tensor& weight, const Walk& walk) {
    const std::string key = site.dense ? cat(walk.input(site), '\n', site.takes_bias) : "";
    if (site.dense && key == key_) return moments_;
    const qdq::ColumnReader reader(node_of(model_, site), site, weight);
    qdq::MomentOptions options;
    options.positions = kPositions;
    options.grouped_positions = kGroupedPositions;
    options.centred = site.takes_bias;
    options.threads = options_.threads;
    moments_ = qdq::input_moments(
        reader, walk.chunks_held(),
        [&](int64_t chunk) {
          const Tensor x = walk.value(site, chunk);
          return qdq::LayerValues{x, x, {}, {}};
        },
        options);
    key_ = key;
    return moments_;
  }

  const Model& model_;
  const CalibrationTable& table_;
  const WeightChangeOptions& options_;
  std::string key_;
  InputMoments moments_;
};

}  // namespace

std::vector<std::vector<Tensor>> weight_changes(const Model& model,
                                                const std::vector<const LayerSite*>& layers,
                                                const CalibrationTable& table,
                                                const SampleSource& source, int64_t chunks,
                                                const WeightChangeOptions& options) {
  std::vector<std::vector<Tensor>> changes(layers.size());
  Optimized optimized(model, table, options);
  if (layers.empty() || !find_optimizer(options.optimizer).needs_moments) {
    for (size_t i = 0; i < layers.size(); ++i) changes[i] = optimized.changes(*layers[i], nullptr);
    return changes;
  }
  Walk walk(model, layers, source, chunks, options.threads);
  std::vector<size_t> order(layers.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return walk.step_of(*layers[a]) < walk.step_of(*layers[b]);
  });
  Progress progress("pricing", static_cast<int64_t>(layers.size()), "layers");
  for (size_t i : order) {
    walk.advance_to(*layers[i]);
    changes[i] = optimized.changes(*layers[i], &walk);
    progress.advance(1);
  }
  return changes;
}

}  // namespace qtool::fisher
