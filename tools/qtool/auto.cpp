#include "qtool/command.hpp"
#include "qtool/stages.hpp"

namespace cli {
namespace {

struct Options {
  std::string model, output, kernels = "integer";
  std::vector<std::string> test;
  DataFlags data;
  PlanFlags plan;
  StepFlags steps;
  WorkspaceFlag workspace;
  ChannelFlags channels;
  GateFlags gates;
  bool no_bias_correction = false, dry_run = false;
  void bind(CLI::App& app) {
    app.add_option("MODEL", model, "the float model")->required();
    data.bind_positional(app, false);
    app.add_option("-o,--output", output, "the quantized model (default: MODEL.q.onnx here)")
        ->type_name("FILE");
    add_list(
        app, "--test", test,
        "data for the accuracy check (default: the sidecar's test set, else DATA; repeatable)");
    app.add_option("--kernels", kernels,
                   "of the accuracy check: integer, integer-only, simulated or float");
    workspace.bind(app);
    app.add_flag("--no-bias-correction", no_bias_correction, "leave biases as they are");
    channels.bind(app);
    app.add_flag("--dry-run", dry_run, "check everything, write nothing");
    plan.bind(app);
    steps.bind(app);
    gates.bind(app);
    data.bind(app);
  }
};

// Without a goal the safest one: 8 bits everywhere.
qtool::PlanRequest plan_of(const Options& o, const GlobalOptions& global) {
  qtool::PlanRequest plan = o.plan.request(global);
  if (!o.plan.has_goal()) plan.uniform = "w8a8";
  return plan;
}

qtool::EvalSummary evaluate(const Options& o, const qtool::CalibrateRequest& calibrated,
                            const qtool::Workspace& workspace,
                            const std::filesystem::path& output) {
  qtool::EvalRequest request;
  request.model = output;
  request.workspace = workspace.root;
  request.data.data.assign(o.test.begin(), o.test.end());
  if (o.test.empty()) request.data.random_samples = calibrated.data.random_samples;
  request.data.seed = calibrated.data.seed;
  request.options.kernels = parse_kernels(o.kernels);
  request.options.threads = calibrated.threads;
  const qtool::EvalReport report = qtool::run_eval(request);
  qtool::EvalSummary summary =
      summary_of(report, request.options.kernels, request.data.random_samples > 0);
  summary.gates = qtool::check_gates(o.gates.gates(), report.evaluation, report.model_bytes);
  qtool::save_evaluation(summary, workspace.file("evaluation.json"));
  return summary;
}

Outcome run(const Options& o, const GlobalOptions& global) {
  const qtool::PlanRequest plan = plan_of(o, global);
  (void)o.gates.gates();
  (void)parse_kernels(o.kernels);
  qtool::CalibrateRequest request;
  request.model = o.model;
  request.data = o.data.request(global);
  request.workspace = o.workspace.get();
  o.channels.apply(request);
  request.threads = global.thread_count();
  qtool::QuantizeRequest quantize;
  quantize.effort = o.plan.effort;
  o.steps.apply(quantize);
  quantize.output = o.output;
  if (o.plan.export_style != "auto") quantize.export_style = o.plan.export_style;
  quantize.bias_correction = !o.no_bias_correction;
  quantize.threads = request.threads;
  if (o.dry_run) {
    Steps steps = calibrate_steps(request);
    for (auto& step : plan_steps(plan)) steps.push_back(step);
    steps.emplace_back("output", o.output.empty()
                                     ? std::filesystem::path(o.model).stem().string() + ".q.onnx"
                                     : o.output);
    return {dry_run_result("auto", steps, global.json)};
  }
  Steps parts;
  const qtool::Calibrated calibrated = qtool::run_calibrate(request);
  parts.emplace_back("calibrate", calibrate_result(calibrated, global.json));
  const qtool::Searched searched = qtool::run_search(calibrated.workspace, plan);
  parts.emplace_back("search",
                     search_result(calibrated.workspace, searched, plan.target, global.json));
  const qtool::QuantizeReport quantized = qtool::run_quantize(calibrated.workspace, quantize);
  parts.emplace_back("quantize", quantize_result(calibrated.workspace, quantized, global.json));
  const qtool::EvalSummary evaluation =
      evaluate(o, request, calibrated.workspace, quantized.output);
  parts.emplace_back("eval",
                     global.json ? qtool::eval_json(evaluation) : qtool::eval_text(evaluation));
  Outcome outcome;
  if (global.json)
    outcome.result = qtool::joined_json("auto", parts);
  else
    for (const auto& [name, text] : parts)
      outcome.result += qtool::cat(outcome.result.empty() ? "" : "\n", "== ", name, "\n", text);
  const std::string missed = qtool::missed_gates(evaluation.gates);
  if (!missed.empty()) {
    outcome.exit_code = static_cast<int>(qtool::ErrorKind::kGate);
    outcome.message = "QT-E602: " + missed;
  }
  return outcome;
}

}  // namespace

const Command kAuto = {
    .name = "auto",
    .summary = "calibrate, search, quantize and eval in order",
    .examples =
        "Examples:\n  qtool auto net.onnx images/ --budget 4.5bits -o net.q.onnx\n  qtool auto "
        "net.onnx images/ --uniform w8a8 --test test.npz --max-drop 1%",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
