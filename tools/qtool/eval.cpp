#include "qtool/command.hpp"
#include "qtool/stages.hpp"

namespace cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model, reference, kernels = "integer", save_outputs;
  DataFlags data;
  WorkspaceFlag workspace;
  GateFlags gates;
  void bind(CLI::App& app) {
    app.add_option("MODEL", model, "a model (default: the last output of `qtool quantize`)");
    data.bind_positional(app, false);
    app.add_option("--reference", reference, "the float model (default: the workspace's)")
        ->type_name("FILE");
    app.add_option("--kernels", kernels, "integer, integer-only, simulated or float");
    app.add_option("--save-outputs", save_outputs, "write all outputs as .npz")->type_name("FILE");
    workspace.bind(app);
    gates.bind(app);
    data.bind(app);
  }
};

// The workspace that knows this evaluation's float model and preprocessing: the one that is named, or the one
// found from here when the model is what it made last.
std::optional<qtool::Workspace> workspace_of(const Options& o) {
  if (!o.workspace.path.empty() || o.model.empty()) return qtool::open_workspace(o.workspace.get());
  try {
    qtool::Workspace found = qtool::open_workspace();
    std::error_code failed;
    if (!found.quantized.empty() && fs::equivalent(found.quantized, o.model, failed)) return found;
  } catch (const qtool::Error& error) {
    if (error.kind() != qtool::ErrorKind::kUsage) throw;  // no workspace here: none is needed
  }
  return std::nullopt;
}

qtool::EvalRequest request_of(const Options& o, const std::optional<qtool::Workspace>& workspace,
                              const GlobalOptions& global) {
  qtool::EvalRequest request;
  if (!o.model.empty()) request.model = o.model;
  if (!o.reference.empty()) request.reference = o.reference;
  request.data = o.data.request(global);
  request.options.kernels = parse_kernels(o.kernels);
  request.options.threads = global.thread_count();
  request.options.save_outputs = o.save_outputs;
  if (!workspace) return request;
  if (request.data.data.empty() && request.data.random_samples == 0) {
    if (workspace->random_samples > 0) {
      request.data.random_samples = workspace->random_samples;
      request.data.seed = workspace->seed;
    }
    if (o.data.changes_preprocessing()) {
      throw qtool::Error(
          qtool::ErrorKind::kUsage, "QT-E146",
          "flags about preprocessing need DATA: the workspace's own data keeps its preprocessing");
    }
  }
  if (!o.data.changes_preprocessing()) {
    request.workspace = workspace->root;
    return request;
  }
  if (o.model.empty()) request.model = workspace->quantized;
  if (o.reference.empty()) request.reference = workspace->model;
  return request;
}

Outcome run(const Options& o, const GlobalOptions& global) {
  const qtool::Gates gates = o.gates.gates();
  const std::optional<qtool::Workspace> workspace = workspace_of(o);
  const qtool::EvalRequest request = request_of(o, workspace, global);
  if (request.model && request.model->empty()) {
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E145",
                       "nothing is quantized in this workspace")
        .hint("run `qtool quantize` first, or name a model");
  }
  if (!request.model && !workspace)
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E145", "no model given");
  const qtool::EvalReport report = qtool::run_eval(request);
  qtool::EvalSummary summary =
      summary_of(report, request.options.kernels, request.data.random_samples > 0);
  summary.gates = qtool::check_gates(gates, report.evaluation, report.model_bytes);
  if (request.workspace) qtool::save_evaluation(summary, workspace->file("evaluation.json"));
  Outcome outcome{global.json ? qtool::eval_json(summary) : qtool::eval_text(summary)};
  const std::string missed = qtool::missed_gates(summary.gates);
  if (!missed.empty()) {
    outcome.exit_code = static_cast<int>(qtool::ErrorKind::kGate);
    outcome.message = "QT-E602: " + missed;
  }
  return outcome;
}

}  // namespace

const Command kEval = {
    .name = "eval",
    .summary = "accuracy check of the written file on integer kernels",
    .examples =
        "Examples:\n  qtool eval                                       in a workspace: its last "
        "output, its data\n"
        "  qtool eval net.q.onnx test.npz --max-drop 1% --min-agreement 99%\n"
        "  qtool eval net.q.onnx test.npz --reference net.onnx --preprocess net.json --json",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
