#include "qtool/command.hpp"
#include "qtool/stages.hpp"

namespace cli {
namespace {

struct Options {
  std::string output;
  PlanFlags plan;
  StepFlags steps;
  WorkspaceFlag workspace;
  GateFlags gates;
  bool no_bias_correction = false, dry_run = false;
  void bind(CLI::App& app) {
    app.add_option("-o,--output", output, "the quantized model (default: MODEL.q.onnx here)")
        ->type_name("FILE");
    workspace.bind(app);
    app.add_flag("--no-bias-correction", no_bias_correction, "leave biases as they are");
    app.add_flag("--dry-run", dry_run, "check everything, write nothing");
    plan.bind(app);
    steps.bind(app);
    gates.bind_size(app);
  }
};

// A plan that exists is taken as it is: flags that would shape another one must not be lost.
std::optional<qtool::PlanRequest> wanted_plan(const Options& o, const qtool::Workspace& workspace,
                                              const GlobalOptions& global) {
  qtool::PlanRequest request = o.plan.request(global);
  if (o.plan.has_goal()) return request;
  const std::string flag = o.plan.shaping_flag();
  if (flag.empty()) return std::nullopt;
  if (std::filesystem::exists(workspace.file("plan.json"))) {
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E129",
                       qtool::cat(flag, " shapes a plan, and this workspace has one already"))
        .hint("give --budget or --uniform for a new plan, or edit plan.json");
  }
  request.uniform = "w8a8";
  return request;
}

Outcome run(const Options& o, const GlobalOptions& global) {
  const qtool::Gates gates = o.gates.gates();
  const qtool::Workspace workspace = qtool::open_workspace(o.workspace.get());
  qtool::QuantizeRequest request;
  request.plan = wanted_plan(o, workspace, global);
  request.output = o.output;
  if (o.plan.export_style != "auto") request.export_style = o.plan.export_style;
  request.effort = o.plan.effort;
  o.steps.apply(request);
  request.bias_correction = !o.no_bias_correction;
  request.threads = global.thread_count();
  if (o.dry_run) {
    Steps steps = request.plan ? plan_steps(*request.plan)
                               : Steps{{"plan", workspace.file("plan.json").string()}};
    steps.emplace_back("output",
                       o.output.empty() ? workspace.model.stem().string() + ".q.onnx" : o.output);
    return {dry_run_result("quantize", steps, global.json)};
  }
  const qtool::QuantizeReport report = qtool::run_quantize(workspace, request);
  Outcome outcome{quantize_result(workspace, report, global.json)};
  const std::string missed = qtool::missed_gates(qtool::check_gates(gates, {}, report.size_bytes));
  if (!missed.empty()) {
    outcome.exit_code = static_cast<int>(qtool::ErrorKind::kGate);
    outcome.message = "QT-E602: " + missed;
  }
  return outcome;
}

}  // namespace

const Command kQuantize = {
    .name = "quantize",
    .summary = "optimise weights and write the quantized model",
    .examples =
        "Examples:\n  qtool quantize -o net.q.onnx                    by the plan of `qtool "
        "search`, else 8 bits everywhere\n"
        "  qtool quantize --uniform w4a8 --keep first,last=w8a8",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
