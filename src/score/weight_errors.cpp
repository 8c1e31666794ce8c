#include "score/weight_errors.hpp"

#include <algorithm>

#include "qtool/exec.hpp"
#include "quantize/internal.hpp"
#include "quantize/linear_algebra.hpp"
#include "quantize/moments.hpp"

namespace qtool::fisher {
namespace {

using Prices = std::vector<std::vector<double>>;  // [output channel][width]

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

std::vector<float> differences(const Tensor& weight, const WeightCodes& codes, int64_t axis) {
  std::vector<float> rows = qdq::rows_of(dequantized(codes, axis), axis);
  const std::vector<float> wanted = qdq::rows_of(weight, axis);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] -= wanted[i];
  return rows;
}

// δw H δwᵀ of every row; a convolution's groups have their own H.
std::vector<double> by_moments(const std::vector<float>& rows, const InputMoments& moments,
                               int threads) {
  const int64_t k = moments.columns, count = static_cast<int64_t>(rows.size()) / k,
                each = count / static_cast<int64_t>(moments.groups.size());
  std::vector<double> noise(static_cast<size_t>(count), 0);
  parallel_for(threads, static_cast<int64_t>(moments.groups.size()), [&](int64_t g, int) {
    const auto mine =
        std::span(rows).subspan(static_cast<size_t>(g * each * k), static_cast<size_t>(each * k));
    const std::vector<float> product =
        qdq::multiply_rows(mine, moments.groups[static_cast<size_t>(g)].h, k);
    for (size_t i = 0; i < mine.size(); ++i)
      noise[static_cast<size_t>(g * each) + i / static_cast<size_t>(k)] +=
          double{mine[i]} * product[i];
  });
  for (double& n : noise) n = std::max(n, 0.0);
  return noise;
}

// The same from the mean square of each input channel alone. `spread`: products of a row that meet at
// one output position, as a part of all.
std::vector<double> by_mean_square(const std::vector<float>& rows, const qdq::RowLayout& layout,
                                   const std::vector<double>& mean_square, double spread) {
  std::vector<double> noise(static_cast<size_t>(layout.rows), 0);
  const auto columns = static_cast<size_t>(layout.columns());
  for (size_t i = 0; i < rows.size(); ++i)
    noise[i / columns] +=
        double{rows[i]} * rows[i] *
        mean_square[i % columns % static_cast<size_t>(layout.channels) % mean_square.size()] *
        spread;
  return noise;
}

class LayerPrices {
 public:
  LayerPrices(const Model& model, const CalibrationTable& table, const WeightErrorOptions& options)
      : model_(model), table_(table), options_(options) {}

  Prices price(const LayerSite& site, const Sensitivity& gradient, const Walk& walk) {
    const Tensor& weight = *model_.graph.constant(model_.graph.find(site.weight));
    const InputMoments* moments = site.column_product ? &moments_of(site, weight, walk) : nullptr;
    Prices prices(static_cast<size_t>(weight.dim(site.channel_axis)));
    for (int bits : options_.bits) {
      const std::vector<double> noise = bits == kFloatBits
                                            ? std::vector<double>(prices.size(), 0)
                                            : noise_at(site, weight, bits, moments, gradient);
      for (size_t r = 0; r < prices.size(); ++r) prices[r].push_back(noise[r]);
    }
    return prices;
  }

 private:
  std::vector<double> noise_at(const LayerSite& site, const Tensor& weight, int bits,
                               const InputMoments* moments, const Sensitivity& gradient) const {
    const OptimizerDef& optimizer = find_optimizer(options_.optimizer);
    const WeightCodes codes =
        moments && optimizer.needs_moments
            ? optimizer.optimize({.weight = weight,
                                  .channel_axis = site.channel_axis,
                                  .bits = bits,
                                  .input_mean_square = {},
                                  .moments = moments,
                                  .threads = options_.threads})
            : optimize_layer(weight, site,
                             {.name = site.name, .weight_bits = bits, .method = options_.optimizer},
                             table_);
    const std::vector<float> rows = differences(weight, codes, site.channel_axis);
    if (moments) return by_moments(rows, *moments, options_.threads);
    const qdq::RowLayout layout = qdq::row_layout(weight.shape(), site.channel_axis);
    return by_mean_square(rows, layout, mean_square(site), spread(site, layout, gradient));
  }

  std::vector<double> mean_square(const LayerSite& site) const {
    std::vector<double> mean = qdq::input_mean_square(site, table_);
    if (!mean.empty()) return mean;
    const auto it = table_.values.find(site.input);
    if (it == table_.values.end() || it->second.count == 0) return {1.0};
    return {it->second.sum_squares / static_cast<double>(it->second.count)};
  }

  // Of a stack of matrices each position meets one; a transposed convolution spreads the products of
  // its input positions over those of its output.
  double spread(const LayerSite& site, const qdq::RowLayout& layout,
                const Sensitivity& gradient) const {
    if (site.dense) return 1 / static_cast<double>(layout.positions);
    const auto it = table_.values.find(site.input);
    if (it == table_.values.end() || gradient.positions <= 0) return 1;
    const double inputs = static_cast<double>(it->second.elements_per_sample()) /
                          static_cast<double>(layout.channels);
    return inputs / gradient.positions;
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
  const WeightErrorOptions& options_;
  std::string key_;
  InputMoments moments_;
};

}  // namespace

std::vector<std::vector<std::vector<double>>> weight_errors(
    const Model& model, const std::vector<const LayerSite*>& layers,
    const std::vector<Sensitivity>& gradients, const CalibrationTable& table,
    const SampleSource& source, int64_t chunks, const WeightErrorOptions& options) {
  std::vector<Prices> prices(layers.size());
  if (layers.empty()) return prices;
  Walk walk(model, layers, source, chunks, options.threads);
  std::vector<size_t> order(layers.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return walk.step_of(*layers[a]) < walk.step_of(*layers[b]);
  });
  LayerPrices pricing(model, table, options);
  Progress progress("pricing", static_cast<int64_t>(layers.size()), "layers");
  for (size_t i : order) {
    walk.advance_to(*layers[i]);
    prices[i] = pricing.price(*layers[i], gradients[i], walk);
    progress.advance(1);
  }
  return prices;
}

}  // namespace qtool::fisher
