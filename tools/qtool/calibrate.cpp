#include "qtool/command.hpp"
#include "qtool/stages.hpp"

namespace cli {
namespace {

struct Options {
  std::string model;
  DataFlags data;
  WorkspaceFlag workspace;
  ChannelFlags channels;
  int64_t synthetic_samples = 0;
  bool dry_run = false;
  void bind(CLI::App& app) {
    app.add_option("MODEL", model, "the float model")->required();
    data.bind_positional(app, false);
    workspace.bind(app);
    app.add_flag("--dry-run", dry_run, "check everything, write nothing");
    app.add_option("--synthetic-data", synthetic_samples,
                   "N samples made from the model's batch normalization instead of data")
        ->check(CLI::Range(1, 1 << 20));
    channels.bind(app);
    data.bind(app);
  }
};

Outcome run(const Options& o, const GlobalOptions& global) {
  qtool::CalibrateRequest request;
  request.model = o.model;
  request.data = o.data.request(global);
  request.workspace = o.workspace.get();
  request.synthetic_samples = o.synthetic_samples;
  if (o.synthetic_samples > 0 && (!request.data.data.empty() || request.data.random_samples > 0))
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E104",
                       "--synthetic-data, --random-data and DATA exclude each other");
  o.channels.apply(request);
  request.threads = global.thread_count();
  if (o.dry_run) return {dry_run_result("calibrate", calibrate_steps(request), global.json)};
  return {calibrate_result(qtool::run_calibrate(request), global.json)};
}

}  // namespace

const Command kCalibrate = {
    .name = "calibrate",
    .summary = "collect activation statistics on unlabeled data",
    .examples =
        "Examples:\n  qtool calibrate net.onnx images/\n  qtool calibrate net.onnx samples.npz "
        "--limit 256 -w build/ws\n"
        "  qtool calibrate net.onnx images/ --resize-short-side 256 --center-crop 224 --scale "
        "0.00392157",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
