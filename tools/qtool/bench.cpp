#include <algorithm>
#include <barrier>
#include <exception>
#include <qtool/onnx.hpp>
#include <qtool/passes.hpp>
#include <thread>

#include "qtool/command.hpp"
#include "qtool/feed.hpp"
#include "qtool/stages.hpp"

namespace cli {
namespace {

using qtool::Executor;
using qtool::Feed;

struct Options {
  std::string model, kernels = "integer";
  DataFlags data;
  double seconds = 1.0;
  void bind(CLI::App& app) {
    app.add_option("MODEL", model, "an .onnx file")->required();
    data.bind_positional(app, false);
    app.add_option("--kernels", kernels, "integer, simulated or float");
    app.add_option("--seconds", seconds, "how long to measure")->check(CLI::Range(0.01, 3600.0));
    data.bind(app);
  }
};

// Model and kernels that run: integer ones exist for models with Q and DQ nodes alone.
qtool::Model runnable(const Options& o, std::string& kernels) {
  qtool::Model model = qtool::load_model(o.model);
  kernels = o.kernels;
  if (parse_kernels(o.kernels) != qtool::Kernels::kInteger) return model;
  qtool::Lowered lowered = qtool::lower_qdq(model);
  const bool any = std::any_of(lowered.layers.begin(), lowered.layers.end(),
                               [](const qtool::LayerStatus& l) { return l.integer; });
  if (!any) kernels = "float";
  return any ? std::move(lowered.model) : model;
}

// One batch, cut into one part a thread where that keeps every thread busy.
struct Work {
  std::vector<Feed> parts;
  int64_t batch = 1;
  bool random_data = false;
};

Work make_work(const Options& o, const qtool::Model& model, const GlobalOptions& global) {
  Work work;
  qtool::DataRequest request = o.data.request(global);
  request.options.chunk_samples = 0;
  work.batch = std::max<int64_t>(1, o.data.batch);
  if (request.data.empty() && request.random_samples == 0)
    request.random_samples = std::min<int64_t>(work.batch, 8);
  work.random_data = request.random_samples > 0;
  const auto source = qtool::open_source(request, model);
  if (source->samples() == 0) qtool::throw_data("QT-E440", "there are no samples");
  if (!takes_any_batch(qtool::input_specs(model))) {
    const qtool::Batch chunk = source->chunk(0);
    if (o.data.batch > 0 && o.data.batch != chunk.samples) {
      throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E147",
                         qtool::cat("the model fixes its batch to ", chunk.samples))
          .hint("leave --batch out");
    }
    work.batch = chunk.samples;
    work.parts = {chunk.feed};
    return work;
  }
  const Feed all = glue(*source, work.batch);
  const int64_t threads = global.thread_count();
  const int64_t parts = work.batch >= 2 * threads ? threads : 1;
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t begin = work.batch * p / parts;
    work.parts.push_back(slice(all, begin, work.batch * (p + 1) / parts - begin));
  }
  return work;
}

// Wall times of whole batches, in seconds. Every part has its own thread for the whole measurement.
std::vector<double> measure(const Executor& executor, const Work& work, double seconds) {
  constexpr int kWarmups = 2, kLeastRuns = 3;
  const auto parts = static_cast<std::ptrdiff_t>(work.parts.size());
  std::vector<double> times;
  std::vector<std::exception_ptr> errors(work.parts.size());
  bool stop = false;
  int runs = 0;
  double begin = 0, started = 0;
  // Runs on one thread between two batches.
  const auto between = [&]() noexcept {
    const double now = qtool::now_seconds();
    if (runs > kWarmups) times.push_back(now - begin);
    if (runs == kWarmups) started = now;
    ++runs;
    stop = std::any_of(errors.begin(), errors.end(),
                       [](const std::exception_ptr& e) { return e != nullptr; }) ||
           (static_cast<int>(times.size()) >= kLeastRuns && now - started >= seconds);
    begin = qtool::now_seconds();
  };
  std::barrier barrier(parts, between);
  const auto loop = [&](size_t part) {
    for (;;) {
      barrier.arrive_and_wait();
      if (stop) return;
      try {
        qtool::check_interrupted();
        (void)executor.run(work.parts[part]);
      } catch (const std::exception&) {
        errors[part] = std::current_exception();
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t p = 1; p < work.parts.size(); ++p) threads.emplace_back(loop, p);
  loop(0);
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return times;
}

qtool::ExecOptions with_threads(int intra_threads) {
  qtool::ExecOptions options;
  options.intra_threads = intra_threads;
  return options;
}

std::vector<qtool::StepInfo> layer_times(const qtool::Model& model, const Work& work,
                                         int intra_threads) {
  constexpr int kRuns = 5;
  const Executor executor(model, with_threads(intra_threads));
  (void)executor.run(work.parts[0]);  // kernels are made in the first run
  executor.enable_timing();
  for (int i = 0; i < kRuns; ++i) (void)executor.run(work.parts[0]);
  std::vector<qtool::StepInfo> steps = executor.steps();
  for (qtool::StepInfo& step : steps) step.milliseconds /= kRuns;
  return steps;
}

Outcome run(const Options& o, const GlobalOptions& global) {
  qtool::BenchResult result;
  const qtool::Model model = runnable(o, result.kernels);
  const Work work = make_work(o, model, global);
  const int intra_threads = work.parts.size() > 1 ? 1 : global.thread_count();
  const Executor executor(model, with_threads(intra_threads));
  std::vector<double> times = measure(executor, work, o.seconds);
  double total = 0;
  for (double t : times) total += t;
  std::sort(times.begin(), times.end());
  result.model = o.model;
  result.batch = work.batch;
  result.threads = global.thread_count();
  result.random_data = work.random_data;
  result.runs = static_cast<int64_t>(times.size());
  result.samples_per_second = static_cast<double>(work.batch * result.runs) / total;
  result.median_ms = 1e3 * times[times.size() / 2];
  result.p95_ms = 1e3 * times[std::min(times.size() - 1, times.size() * 95 / 100)];
  result.layers = layer_times(model, work, intra_threads);
  return {global.json ? qtool::bench_json(result) : qtool::bench_text(result)};
}

}  // namespace

const Command kBench = {
    .name = "bench",
    .summary = "throughput, latency and per-layer times",
    .examples =
        "Examples:\n  qtool bench net.q.onnx --batch 64\n  qtool bench net.onnx images/ --batch 1 "
        "--threads 1 --kernels float --seconds 5",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
