#include "qtool/stages.hpp"

#include <qtool/onnx.hpp>
#include <qtool/passes.hpp>

namespace cli {

using qtool::cat;

qtool::Sites sites_of(const qtool::Workspace& workspace, const std::string& target) {
  return qtool::load_prepared(workspace, target).sites;
}

qtool::Kernels parse_kernels(const std::string& text) {
  check_choice("--kernels", text, {"integer", "integer-only", "simulated", "float"});
  return *qtool::find_kernels(text);
}

std::string calibrate_result(const qtool::Calibrated& c, bool json) {
  const qtool::CalibrateSummary summary{.table = c.table,
                                        .equalized = c.equalized,
                                        .eased = c.eased,
                                        .data = c.data,
                                        .workspace = c.workspace.root.string(),
                                        .skipped = c.skipped,
                                        .seconds = c.seconds};
  return json ? qtool::calibrate_json(summary) : qtool::calibrate_text(summary);
}

std::string search_result(const qtool::Workspace& workspace, const qtool::Searched& s,
                          const std::string& target, bool json) {
  const qtool::Sites sites = sites_of(workspace, target);
  const qtool::SearchSummary summary{.assignment = s.assignment,
                                     .scores = s.scores,
                                     .sites = sites,
                                     .plan_file = workspace.file("plan.json").string(),
                                     .random_data = workspace.random_samples > 0,
                                     .seconds = s.seconds,
                                     .measured = s.measured,
                                     .measured_how = s.measured_how,
                                     .plans_tried = s.plans_tried,
                                     .verification = s.verification,
                                     .rescoring = s.rescoring,
                                     .frontier = s.frontier};
  return json ? qtool::search_json(summary) : qtool::search_text(summary);
}

std::string quantize_result(const qtool::Workspace& workspace, const qtool::QuantizeReport& q,
                            bool json) {
  const qtool::QuantizeSummary summary{.quantized = q.quantized,
                                       .plan = q.plan,
                                       .output = q.output.string(),
                                       .size_bytes = q.size_bytes,
                                       .float_bytes = q.float_bytes,
                                       .random_data = workspace.random_samples > 0,
                                       .seconds = q.seconds};
  return json ? qtool::quantize_json(summary) : qtool::quantize_text(summary);
}

qtool::EvalSummary summary_of(const qtool::EvalReport& report, qtool::Kernels kernels,
                              bool random_data) {
  return {.evaluation = report.evaluation,
          .model = report.model.string(),
          .reference = report.reference.string(),
          .data = report.data,
          .kernels = kernels,
          .model_bytes = report.model_bytes,
          .random_data = random_data};
}

Steps calibrate_steps(const qtool::CalibrateRequest& request) {
  const qtool::Model model = qtool::prepare(qtool::load_model(request.model));
  const qtool::Sites sites = qtool::find_sites(model, *qtool::targets().front());
  qtool::DataRequest data = request.data;
  const auto source = qtool::open_source(data, model);
  return {{"calibrate", request.model.string()},
          {"data", cat(source->describe(), ", ", source->samples(), " samples")},
          {"observe", cat(sites.activations.size(), " tensors of ", sites.layers.size(),
                          " layers with weights")},
          {"workspace", request.workspace.value_or(".qtool").string()}};
}

Steps plan_steps(const qtool::PlanRequest& request) {
  if (request.uniform) return {{"plan", cat("uniform ", *request.uniform)}};
  std::string budgets, widths;
  for (const std::string& budget : request.budgets)
    budgets += (budgets.empty() ? "" : ",") + budget;
  for (int bits : request.weight_bits)
    widths +=
        (widths.empty() ? "" : ",") + (bits == qtool::kFloatBits ? "float" : std::to_string(bits));
  return {{"search", cat(budgets, " among weights of ", widths, " bits, score ", request.score,
                         ", solver ", request.solver)}};
}

std::string dry_run_result(std::string_view command, const Steps& steps, bool json) {
  return json ? qtool::dry_run_json(command, steps) : qtool::dry_run_text(steps);
}

}  // namespace cli
