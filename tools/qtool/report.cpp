#include <qtool/onnx.hpp>
#include <qtool/passes.hpp>

#include "qtool/command.hpp"
#include "qtool/stages.hpp"

namespace cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string output, target = "ort-cpu";
  WorkspaceFlag workspace;
  void bind(CLI::App& app) {
    app.add_option("-o,--output", output, "write one self-contained page")->type_name("FILE.html");
    app.add_option("--target", target, "runtime that the model is for");
    workspace.bind(app);
  }
};

qtool::WorkspaceReport collect(const qtool::Workspace& w, const std::string& target) {
  qtool::WorkspaceReport r;
  r.model = w.model.string();
  r.fingerprint = w.fingerprint;
  for (const fs::path& path : w.data) r.data += (r.data.empty() ? "" : ", ") + path.string();
  if (w.random_samples > 0) r.data = qtool::cat(w.random_samples, " random samples");
  const qtool::Prepared prepared = qtool::load_prepared(w, target);
  r.sites = prepared.sites;
  r.calibration = qtool::load_calibration(w.file("calibration.json"));
  if (fs::exists(w.file("plan.json"))) {
    r.plan = qtool::load_plan(w.file("plan.json"), r.sites, w.fingerprint);
    r.cost = qtool::plan_cost(*r.plan, r.sites, prepared.model);
  }
  if (fs::exists(w.file("evaluation.json")))
    r.evaluation = qtool::load_evaluation(w.file("evaluation.json"));
  return r;
}

Outcome run(const Options& o, const GlobalOptions& global) {
  const qtool::WorkspaceReport r = collect(qtool::open_workspace(o.workspace.get()), o.target);
  if (!o.output.empty()) qtool::write_file_atomic(o.output, qtool::report_html(r));
  return {global.json ? qtool::report_json(r, o.output) : qtool::report_text(r)};
}

}  // namespace

const Command kReport = {
    .name = "report",
    .summary = "a workspace's results as text, JSON or one HTML page",
    .examples = "Examples:\n  qtool report\n  qtool report -o report.html",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
