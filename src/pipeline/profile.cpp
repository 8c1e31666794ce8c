// Layers' times on this machine.
#include <algorithm>

#include "pipeline/stages.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

using namespace pipeline;

constexpr int kWarmups = 3, kLeastRuns = 5;

struct Times {
  std::map<std::string, double> steps;  // milliseconds a sample, by node
  double whole = 0;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Medians of single runs with and without timed steps, in turns, so that a change of the machine's speed
// meets both.
Times measure(const Model& model, const Batch& batch, const ProfileRequest& request) {
  ExecOptions options;
  options.intra_threads = request.threads;
  const Executor plain(model, options), timed(model, options);
  for (int i = 0; i < kWarmups; ++i) {
    (void)plain.run(batch.feed);
    (void)timed.run(batch.feed);
  }
  timed.enable_timing();
  std::map<std::string, std::vector<double>> steps;
  std::map<std::string, double> before;
  for (const StepInfo& step : timed.steps()) before[step.name] += step.milliseconds;
  std::vector<double> whole;
  const double begin = now_seconds();
  while (static_cast<int>(whole.size()) < kLeastRuns || now_seconds() - begin < request.seconds) {
    check_interrupted();
    const double start = now_seconds();
    (void)plain.run(batch.feed);
    whole.push_back(1e3 * (now_seconds() - start));
    (void)timed.run(batch.feed);
    std::map<std::string, double> after;
    for (const StepInfo& step : timed.steps()) after[step.name] += step.milliseconds;
    for (const auto& [name, total] : after) steps[name].push_back(total - before[name]);
    before = std::move(after);
  }
  const auto samples = static_cast<double>(std::max<int64_t>(batch.samples, 1));
  Times times;
  times.whole = median(whole) / samples;
  for (const auto& [name, values] : steps) times.steps[name] = median(values) / samples;
  return times;
}

// All layers in 8 bits, ranges of random data: times do not depend on them.
Model integer_model(const Model& model, const Sites& sites, const SampleSource& source,
                    const ProfileRequest& request) {
  std::vector<std::string> names;
  for (const ActivationSite& site : sites.activations) names.push_back(site.name);
  const CalibrationTable table = calibrate(model, names, source, {.threads = request.threads});
  QuantPlan plan = uniform_plan(sites, {8, 8});
  QuantizeOptions options;
  options.threads = request.threads;
  options.target = request.target;
  options.bias_correction = false;
  return lower_qdq(quantize_model(model, sites, plan, table, nullptr, options).model).model;
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
  const Sites sites = find_sites(model, find_target(request.target));
  DataRequest data;
  data.random_samples = 1;
  const auto source = open_source(data, model);
  const Batch batch = source->chunk(0);
  const Times in_float = measure(model, batch, request),
              in_integer = measure(integer_model(model, sites, *source, request), batch, request);
  Profiled result;
  DeviceProfile& p = result.profile;
  p = load_profile("onednn-cpu");
  p.costs.clear();
  p.name = cat("measured-", request.model.stem().string());
  p.summary = cat("this machine (", cpu_isa(), ", ", request.threads, " threads), measured");
  p.target = request.target;
  p.conversion_ns = 0;  // part of the layers' times and the rest's
  p.model_fingerprint = loaded.fingerprint;
  double float_sum = 0, integer_sum = 0;
  for (const LayerSite& site : sites.layers) {
    if (!site.reason.empty()) continue;
    const auto a = in_float.steps.find(site.name), b = in_integer.steps.find(site.name);
    if (a == in_float.steps.end()) continue;
    p.layers.push_back({site.name, a->second, b == in_integer.steps.end() ? a->second : b->second});
    float_sum += p.layers.back().float_ms;
    integer_sum += p.layers.back().integer_ms;
  }
  p.other_float_ms = std::max(0.0, in_float.whole - float_sum);
  p.other_integer_ms = std::max(0.0, in_integer.whole - integer_sum);
  add_costs(sites, p);
  result.float_ms = in_float.whole;
  result.integer_ms = in_integer.whole;
  return result;
}

}  // namespace qtool
