#include "qtool/command.hpp"
#include "qtool/stages.hpp"

namespace cli {
namespace {

struct Options {
  PlanFlags plan;
  WorkspaceFlag workspace;
  std::string pareto;
  bool dry_run = false;
  void bind(CLI::App& app) {
    plan.bind(app);
    workspace.bind(app);
    app.add_option(
           "--pareto", pareto,
           "write what every value of the first limit buys: points as .csv, a picture as .svg")
        ->type_name("FILE");
    app.add_flag("--dry-run", dry_run, "check everything, write nothing");
  }
};

constexpr int64_t kFrontierPoints = 33;

std::string extension(const std::string& path) {
  return std::filesystem::path(path).extension().string();
}

Outcome run(const Options& o, const GlobalOptions& global) {
  qtool::PlanRequest request = o.plan.request(global);
  if (!o.pareto.empty()) check_choice("--pareto", extension(o.pareto), {".csv", ".svg"});
  if (!o.pareto.empty() || o.plan.solver.starts_with("pareto"))
    request.frontier_points = kFrontierPoints;
  const qtool::Workspace workspace = qtool::open_workspace(o.workspace.get());
  if (!o.plan.has_goal())
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E127", "no budget given")
        .hint("for example --budget 4.5bits, or --uniform w8a8");
  if (o.dry_run) return {dry_run_result("search", plan_steps(request), global.json)};
  const qtool::Searched searched = qtool::run_search(workspace, request);
  if (!o.pareto.empty()) {
    const bool in_noise = qtool::prices_noise(searched.scores);
    qtool::write_file_atomic(o.pareto, extension(o.pareto) == ".csv"
                                           ? qtool::frontier_csv(searched.frontier, in_noise)
                                           : qtool::frontier_svg(searched.frontier, in_noise));
  }
  return {search_result(workspace, searched, request.target, global.json)};
}

}  // namespace

const Command kSearch = {
    .name = "search",
    .summary = "score every choice and assign bits under the budget",
    .examples =
        "Examples:\n  qtool search --budget 4.5bits\n  qtool search --budget 25%size,act=6bits "
        "--activations 4,6,8 --keep first,last=w8a8\n  qtool search --budget 4bits --pareto "
        "frontier.svg",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
