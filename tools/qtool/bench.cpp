#include <algorithm>
#include <barrier>
#include <ctime>
#include <exception>
#include <numeric>
#include <qtool/integer_only.hpp>
#include <qtool/onnx.hpp>
#include <thread>

#include "qtool/command.hpp"
#include "qtool/feed.hpp"
#include "qtool/rival.hpp"
#include "qtool/stages.hpp"
#include "qtool/waiting.hpp"

namespace cli {
namespace {

using qtool::Executor;
using qtool::Feed;

struct Options {
  std::string model, kernels = "integer";
  DataFlags data;
  double seconds = 1.0;
  std::string compare;
  void bind(CLI::App& app) {
    app.add_option("MODEL", model, "an .onnx file")->required();
    data.bind_positional(app, false);
    app.add_option("--kernels", kernels, "integer, integer-only, simulated or float");
    app.add_option("--seconds", seconds, "how long to measure")->check(CLI::Range(0.01, 3600.0));
    app.add_option("--compare", compare,
                   "measure this engine too, on the same file and data; needs a Python with it "
                   "($QTOOL_PYTHON or python3)")
        ->check(CLI::IsMember({"onnxruntime"}));
    data.bind(app);
  }
};

// Model and kernels that run: integer ones exist for models with Q and DQ nodes alone.
qtool::Model runnable(const Options& o, std::string& kernels) {
  qtool::Model model = qtool::load_model(o.model);
  kernels = o.kernels;
  if (parse_kernels(o.kernels) == qtool::Kernels::kIntegerOnly)
    return qtool::integer_only(model).model;
  if (parse_kernels(o.kernels) != qtool::Kernels::kInteger) return model;
  qtool::Lowered lowered = qtool::lower_qdq(model);
  const bool any = std::any_of(lowered.layers.begin(), lowered.layers.end(),
                               [](const qtool::LayerStatus& l) { return l.integer; });
  if (!any) kernels = "float";
  return any ? std::move(lowered.model) : model;
}

// One batch, cut into one part a thread where that keeps every thread busy, and each part into slices
// whose activations stay in cache.
struct Work {
  Feed all;
  std::vector<std::vector<Feed>> parts;
  int64_t batch = 1;
  bool random_data = false;
};

// Samples [begin, end) in slices of about this much input, 32 samples at most.
std::vector<Feed> slices(const Feed& all, int64_t begin, int64_t end) {
  constexpr int64_t kSliceBytes = 2 << 20, kMostSamples = 32;
  int64_t bytes = 0;
  for (const auto& [name, value] : all) bytes += value.bytes();
  const int64_t sample_bytes = std::max<int64_t>(1, bytes / all.begin()->second.dim(0));
  const int64_t step = std::clamp<int64_t>(kSliceBytes / sample_bytes, 1, kMostSamples);
  std::vector<Feed> cut;
  for (int64_t at = begin; at < end; at += step)
    cut.push_back(slice(all, at, std::min(step, end - at)));
  return cut;
}

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
    work.all = chunk.feed;
    work.parts = {{work.all}};
    return work;
  }
  work.all = glue(*source, work.batch);
  const int64_t threads = global.thread_count();
  const int64_t parts = work.batch >= 2 * threads ? threads : 1;
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t begin = work.batch * p / parts;
    work.parts.push_back(slices(work.all, begin, work.batch * (p + 1) / parts));
  }
  return work;
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct Times {
  std::vector<double> wall;  // of whole batches, in seconds
  double cpu = 0;            // of all of them
};

// Every part has its own thread for the whole measurement.
Times measure(const Executor& executor, const Work& work, double seconds) {
  constexpr int kWarmups = 2, kLeastRuns = 3;
  const auto parts = static_cast<std::ptrdiff_t>(work.parts.size());
  Times times;
  std::vector<std::exception_ptr> errors(work.parts.size());
  bool stop = false;
  int runs = 0;
  double begin = 0, started = 0, cpu_started = 0;
  // Runs on one thread between two batches.
  const auto between = [&]() noexcept {
    const double now = qtool::now_seconds();
    if (runs > kWarmups) times.wall.push_back(now - begin);
    if (runs == kWarmups) {
      started = now;
      cpu_started = cpu_seconds();
    }
    ++runs;
    stop = std::any_of(errors.begin(), errors.end(),
                       [](const std::exception_ptr& e) { return e != nullptr; }) ||
           (static_cast<int>(times.wall.size()) >= kLeastRuns && now - started >= seconds);
    times.cpu = cpu_seconds() - cpu_started;
    begin = qtool::now_seconds();
  };
  std::barrier barrier(parts, between);
  const auto loop = [&](size_t part) {
    for (;;) {
      barrier.arrive_and_wait();
      if (stop) return;
      try {
        qtool::check_interrupted();
        for (const Feed& feed : work.parts[part]) (void)executor.run(feed);
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

// How many threads inside a run make it fastest, all or one: on a busy machine, or with layers too small, threads
// wait for each other longer than they compute.
int useful_threads(const qtool::Model& model, const Work& work, const GlobalOptions& global) {
  constexpr int kMajority = 3;
  constexpr double kSeconds = 0.05;
  const int all = global.thread_count();
  if (all < 2) return 1;
  const Executor one(model, with_threads(1)), many(model, with_threads(all));
  const auto mean = [&](const Executor& executor) {  // seconds a run
    const Times times = measure(executor, work, kSeconds);
    return std::accumulate(times.wall.begin(), times.wall.end(), 0.0) /
           static_cast<double>(times.wall.size());
  };
  // By majority: one pause of the machine decides nothing.
  int alone = 0, together = 0;
  while (alone < kMajority && together < kMajority) ++(mean(one) < mean(many) ? alone : together);
  return alone == kMajority ? 1 : all;
}

std::vector<qtool::StepInfo> layer_times(const qtool::Model& model, const Work& work,
                                         int intra_threads) {
  constexpr int kRuns = 5;
  const Executor executor(model, with_threads(intra_threads));
  const auto run = [&] {
    for (const Feed& feed : work.parts[0]) (void)executor.run(feed);
  };
  run();  // kernels are made in the first run
  executor.enable_timing();
  for (int i = 0; i < kRuns; ++i) run();
  std::vector<qtool::StepInfo> steps = executor.steps();
  const auto slices = static_cast<int64_t>(work.parts[0].size());
  for (qtool::StepInfo& step : steps) {
    step.milliseconds /= kRuns;
    step.macs *= slices;  // of one slice, the last; they are nearly equal
  }
  return steps;
}

Outcome run(const Options& o, const GlobalOptions& global) {
  start_with_short_waits(global.thread_count());
  qtool::BenchResult result;
  const qtool::Model model = runnable(o, result.kernels);
  const Work work = make_work(o, model, global);
  const int intra_threads = work.parts.size() > 1 ? 1 : useful_threads(model, work, global);
  const Executor executor(model, with_threads(intra_threads));
  const Times times = measure(executor, work, o.seconds);
  std::vector<double> milliseconds;
  for (double t : times.wall) milliseconds.push_back(1e3 * t);
  const double total = std::accumulate(milliseconds.begin(), milliseconds.end(), 0.0);
  result.model = o.model;
  result.batch = work.batch;
  result.threads = global.thread_count();
  result.threads_used = work.parts.size() > 1 ? static_cast<int>(work.parts.size()) : intra_threads;
  result.random_data = work.random_data;
  result.runs = static_cast<int64_t>(milliseconds.size());
  result.samples_per_second = 1e3 * static_cast<double>(work.batch * result.runs) / total;
  result.cpu_ms = 1e3 * times.cpu / static_cast<double>(result.runs);
  result.latency = qtool::latency_of(std::move(milliseconds));
  result.peak = qtool::measure_peak(global.thread_count());
  result.layers = layer_times(model, work, intra_threads);
  if (!o.compare.empty())
    result.rival = measure_onnxruntime(o.model, work.all, global.thread_count(), o.seconds);
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
