#include "qtool/command.hpp"
#include "qtool/stages.hpp"

namespace cli {
namespace {

struct Options {
  PlanFlags plan;
  WorkspaceFlag workspace;
  bool dry_run = false;
  void bind(CLI::App& app) {
    plan.bind(app);
    workspace.bind(app);
    app.add_flag("--dry-run", dry_run, "check everything, write nothing");
  }
};

Outcome run(const Options& o, const GlobalOptions& global) {
  const qtool::PlanRequest request = o.plan.request(global);
  const qtool::Workspace workspace = qtool::open_workspace(o.workspace.get());
  if (!o.plan.has_goal())
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E127", "no budget given")
        .hint("for example --budget 4.5bits, or --uniform w8a8");
  if (o.dry_run) return {dry_run_result("search", plan_steps(request), global.json)};
  return {
      search_result(workspace, qtool::run_search(workspace, request), request.target, global.json)};
}

}  // namespace

const Command kSearch = {
    .name = "search",
    .summary = "score every choice and assign bits under the budget",
    .examples =
        "Examples:\n  qtool search --budget 4.5bits\n  qtool search --budget 25%size,act=6bits "
        "--activations 4,6,8 --keep first,last=w8a8",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
