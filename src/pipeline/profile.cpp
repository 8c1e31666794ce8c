// Layers' times on this machine.
#include <algorithm>

#include "pipeline/stages.hpp"
#include "qtool/assign.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

using namespace pipeline;

constexpr int kWarmups = 3, kLeastTurns = 3;
// A network's turn: runs until its weights and values are where they stay in the caches, which takes several where others
// have driven them out, then measured runs; no more of either than fit into the time.
constexpr int kSettling = 8, kTurn = 16;
constexpr double kSettlingSeconds = 0.1, kTurnSeconds = 0.2;

struct Times {
  std::map<std::string, double> steps;  // milliseconds a sample, by node
  double whole = 0;
};

double median(std::vector<double> values) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// A network that is run again and again, with and without timed steps.
class Measured {
 public:
  Measured(const Model& model, const Batch& batch, const ExecOptions& options)
      : batch_(batch), plain_(model, options), timed_(model, options) {
    for (int i = 0; i < kWarmups; ++i) {
      (void)plain_.run(batch.feed);
      (void)timed_.run(batch.feed);
    }
    timed_.enable_timing();
  }

  void take_turn() {
    settle(plain_);
    repeat(kTurn, kTurnSeconds, [&] {
      const double start = now_seconds();
      (void)plain_.run(batch_.feed);
      whole_.push_back(1e3 * (now_seconds() - start));
    });
    settle(timed_);
    std::map<std::string, double> before = step_totals();
    repeat(kTurn, kTurnSeconds, [&] {
      (void)timed_.run(batch_.feed);
      const std::map<std::string, double> after = step_totals();
      for (const auto& [name, total] : after) steps_[name].push_back(total - before[name]);
      before = after;
    });
  }

  Times times() const {
    const auto samples = static_cast<double>(std::max<int64_t>(batch_.samples, 1));
    Times times;
    times.whole = median(whole_) / samples;
    for (const auto& [name, values] : steps_) times.steps[name] = median(values) / samples;
    return times;
  }

 private:
  template <typename Run>
  static void repeat(int most, double seconds, Run run) {
    const double begin = now_seconds();
    for (int i = 0; i < most && (i == 0 || now_seconds() - begin < seconds); ++i) run();
  }
  void settle(const Executor& executor) const {
    repeat(kSettling, kSettlingSeconds, [&] { (void)executor.run(batch_.feed); });
  }
  std::map<std::string, double> step_totals() const {
    std::map<std::string, double> totals;
    for (const StepInfo& step : timed_.steps()) totals[step.name] += step.milliseconds;
    return totals;
  }

  const Batch& batch_;
  Executor plain_, timed_;
  std::vector<double> whole_;
  std::map<std::string, std::vector<double>> steps_;
};

// In turns, so that a change of the machine's speed meets all networks.
std::vector<Times> measure(const std::vector<Model>& models, const Batch& batch,
                           const ProfileRequest& request) {
  ExecOptions options;
  options.intra_threads = request.threads;
  std::vector<std::unique_ptr<Measured>> networks;
  for (const Model& model : models)
    networks.push_back(std::make_unique<Measured>(model, batch, options));
  const double begin = now_seconds(), wanted = request.seconds * static_cast<double>(models.size());
  for (int turns = 0; turns < kLeastTurns || now_seconds() - begin < wanted; ++turns) {
    check_interrupted();
    for (const auto& network : networks) network->take_turn();
  }
  std::vector<Times> times;
  for (const auto& network : networks) times.push_back(network->times());
  return times;
}

// Everything on 8-bit codes but, where asked, the layers themselves. Ranges of random data: times do not
// depend on them.
Model integer_model(const Model& model, const Sites& sites, const CalibrationTable& table,
                    int weight_bits, const ProfileRequest& request) {
  QuantizeOptions options;
  options.threads = request.threads;
  options.target = request.target;
  options.bias_correction = false;
  const QuantPlan plan = uniform_plan(sites, {weight_bits, 8});
  return lower_qdq(quantize_model(model, sites, plan, table, nullptr, options).model).model;
}

// Elements of what a layer reads and makes, as the sample has them: shapes may not be fixed.
double converted(const LayerSite& site, const Sites& sites, const CalibrationTable& table) {
  double elements = 0;
  for (const std::string& value : {site.input, site.output})
    if (sites.activation(value)) elements += static_cast<double>(table.at(value).count);
  return elements;
}

// Rates by operator, for other models: MACs of all its layers over their times.
void add_costs(const Sites& sites, DeviceProfile& profile) {
  struct Sum {
    double gmacs = 0, float_ms = 0, integer_ms = 0;
  };
  std::map<std::string, Sum> sums;
  for (const DeviceProfile::Measured& row : profile.layers) {
    const LayerSite& site = *sites.layer(row.layer);
    for (const std::string& op : {site.type, std::string("*")}) {
      Sum& sum = sums[op];
      sum.gmacs += static_cast<double>(site.macs) * 1e-9;
      sum.float_ms += row.float_ms;
      sum.integer_ms += row.integer_ms;
    }
  }
  for (const auto& [op, sum] : sums) {
    if (!(sum.gmacs > 0) || !(sum.float_ms > 0) || !(sum.integer_ms > 0)) continue;
    profile.costs.push_back({op, kFloatBits, kFloatBits, 1e3 * sum.gmacs / sum.float_ms, 0});
    profile.costs.push_back({op, 8, 8, 1e3 * sum.gmacs / sum.integer_ms, 0});
  }
}

}  // namespace

Profiled run_profile(const ProfileRequest& request) {
  const Model loaded = load_model(request.model);
  const Model model = prepare(loaded);
  DataRequest data;
  data.random_samples = 1;
  const auto source = open_source(data, model);
  const Batch batch = source->chunk(0);
  const auto [sites, table, unreached] =
      pipeline::observe(model, find_target(request.target), *source, request.threads);
  const std::vector<Times> times =
      measure({model, integer_model(model, sites, table, 8, request),
               integer_model(model, sites, table, kFloatBits, request)},
              batch, request);
  const Times &in_float = times[0], &in_integer = times[1], &float_layers = times[2];
  Profiled result;
  DeviceProfile& p = result.profile;
  p = load_profile("onednn-cpu");
  p.costs.clear();
  p.name = cat("measured-", request.model.stem().string());
  p.summary = cat("this machine (", cpu_isa(), ", ", request.threads, " threads), measured");
  p.target = request.target;
  p.model_fingerprint = loaded.fingerprint;
  double float_sum = 0, integer_sum = 0;
  for (const LayerSite& site : sites.layers) {
    if (!site.reason.empty()) continue;
    const auto a = in_float.steps.find(site.name), b = in_integer.steps.find(site.name);
    if (a == in_float.steps.end()) continue;
    p.layers.push_back(
        {site.name, a->second, b == in_integer.steps.end() ? a->second : b->second, 0});
    float_sum += p.layers.back().float_ms;
    integer_sum += p.layers.back().integer_ms;
  }
  p.other_float_ms = std::max(0.0, in_float.whole - float_sum);
  p.other_integer_ms = std::max(0.0, in_integer.whole - integer_sum);
  // What layers in float add to a network of codes, but for themselves.
  const double conversions = float_layers.whole - float_sum - p.other_integer_ms;
  const auto elements = [&](const DeviceProfile::Measured& row) {
    return converted(*sites.layer(row.layer), sites, table);
  };
  double total = 0;
  for (const DeviceProfile::Measured& row : p.layers) total += elements(row);
  p.conversion_ns = total > 0 ? std::max(0.0, 1e6 * conversions / total) : 0;
  for (DeviceProfile::Measured& row : p.layers)
    row.conversion_ms = 1e-6 * p.conversion_ns * elements(row);
  add_costs(sites, p);
  result.float_ms = in_float.whole;
  result.integer_ms = in_integer.whole;
  return result;
}

}  // namespace qtool
