#include "qtool/calibrate.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "calibrate/observation.hpp"
#include "graph/subgraphs.hpp"

namespace qtool {
namespace {

// The observed values of one chunk: extremes go straight into the worker's own statistics, sums wait.
class Recorder : public Tap {
 public:
  using Positions = std::unordered_map<std::string, size_t>;
  Recorder(const Positions& positions, std::vector<ValueStats>& stats, const Batch& batch)
      : positions_(positions), stats_(stats), batch_(batch), sums_(positions.size()) {}

  void on_value(const std::string& name, Tensor& value) override { observe(name, value); }
  bool on_blocks(const std::string& name, const ChannelBlocks& value) override {
    observe(name, value);
    return true;
  }

  bool replaces() const override { return false; }
  std::vector<SampleSums> take() { return std::move(sums_); }

 private:
  template <typename Value>
  void observe(const std::string& name, const Value& value) {
    const auto it = positions_.find(name);
    if (it == positions_.end()) return;
    try {
      // Values inside a body come as often as it runs.
      add_call(sums_[it->second],
               observe_extremes(stats_[it->second], value, batch_.samples, batch_.first_sample));
    } catch (Error& error) {
      error.context(cat("while observing '", printable(name), "' for samples ", batch_.first_sample,
                        " to ", batch_.first_sample + batch_.samples - 1));
      throw;
    }
  }

  const Positions& positions_;
  std::vector<ValueStats>& stats_;
  const Batch& batch_;
  std::vector<SampleSums> sums_;
};

void add_names(const Graph& graph, std::vector<std::string>& names) {
  for (const Value& value : graph.values) names.push_back(value.name);
  for (const Node& node : graph.nodes)
    for (const Graph* body : subgraphs_of(node)) add_names(*body, names);
}

void check_names(const Model& model, const std::vector<std::string>& names) {
  std::vector<std::string> known;
  add_names(model.graph, known);
  const std::unordered_set<std::string_view> set(known.begin(), known.end());
  for (const std::string& name : names) {
    if (set.contains(name)) continue;
    const std::string near = nearest(name, known);
    throw Error(ErrorKind::kUsage, "QT-E141", cat("the model has no value '", printable(name), "'"))
        .hint(near.empty() ? "" : cat("did you mean '", printable(near), "'?"));
  }
}

// Extremes of all workers with the sums, which were added in order.
ValueStats combine(const std::vector<std::vector<ValueStats>>& extremes, size_t value,
                   ValueStats&& sums) {
  ValueStats all;
  for (const auto& worker : extremes) all.merge(worker[value]);
  all.shape = std::move(sums.shape);
  all.sum = sums.sum;
  all.sum_squares = sums.sum_squares;
  if (all.channel_min.empty()) return all;
  all.channel_sum = std::move(sums.channel_sum);
  all.channel_sum_squares = std::move(sums.channel_sum_squares);
  return all;
}

}  // namespace

const ValueStats& CalibrationTable::at(const std::string& value) const {
  const auto it = values.find(value);
  if (it != values.end()) return it->second;
  throw Error(ErrorKind::kUsage, "QT-E140",
              cat("the calibration has no statistics of '", printable(value), "'"))
      .hint("run `qtool calibrate` again on this model");
}

CalibrationTable calibrate(const Model& model, const std::vector<std::string>& names,
                           const SampleSource& source, const CalibrateOptions& options) {
  check_names(model, names);
  Recorder::Positions positions;
  std::vector<std::string> order;
  for (const std::string& name : names)
    if (positions.emplace(name, order.size()).second) order.push_back(name);
  const Executor executor(model, {.observe = {order.begin(), order.end()}});
  const int threads = std::max(1, options.threads);
  std::vector<std::vector<ValueStats>> extremes(static_cast<size_t>(threads),
                                                std::vector<ValueStats>(order.size()));
  std::vector<ValueStats> sums(order.size());
  CalibrationTable table;
  table.model_fingerprint = model.fingerprint;
  Progress progress("calibrate", source.samples(), "samples");
  parallel_ordered(threads, source.chunk_count(),
                   [&](int64_t index, int worker) -> std::function<void()> {
                     const Batch batch = source.chunk(index);
                     Recorder recorder(positions, extremes[static_cast<size_t>(worker)], batch);
                     executor.run(batch.feed, &recorder);
                     progress.advance(batch.samples);
                     return [&, chunk = recorder.take(), samples = batch.samples] {
                       for (size_t v = 0; v < chunk.size(); ++v) add_sums(sums[v], chunk[v]);
                       table.samples += samples;
                     };
                   });
  for (size_t v = 0; v < order.size(); ++v) {
    const ValueStats& stats = table.values[order[v]] = combine(extremes, v, std::move(sums[v]));
    if (stats.infinite)
      log(LogLevel::kWarning, cat("value '", printable(order[v]), "' was infinite ", stats.infinite,
                                  " times; those count as zero"));
  }
  return table;
}

}  // namespace qtool
