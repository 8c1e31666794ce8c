#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/json_text.hpp"
#include "report/stages.hpp"

namespace qtool {

using namespace report;
using Json = nlohmann::ordered_json;

namespace {

Json reasons(const std::vector<std::pair<std::string, std::string>>& list) {
  Json out = Json::array();
  for (const auto& [name, reason] : list) out.push_back({{"name", name}, {"reason", reason}});
  return out;
}

Json pairs(const std::vector<std::pair<std::string, std::string>>& list) {
  Json out = Json::object();
  for (const auto& [key, value] : list) out[key] = value;
  return out;
}

Json tensors(const CalibrationTable& table) {
  Json out = Json::array();
  for (const auto& [name, v] : table.values) {
    const double count = v.count ? static_cast<double>(v.count) : 1;
    const double mean = v.sum / count;
    out.push_back({{"name", name},
                   {"shape", v.shape},
                   {"count", v.count},
                   {"min", v.min},
                   {"max", v.max},
                   {"mean", mean},
                   {"std", std::sqrt(std::max(0.0, v.sum_squares / count - mean * mean))},
                   {"channels", v.channel_min.size()}});
  }
  return out;
}

Json plan_rows(const QuantPlan& plan, const Sites& sites, const LossShares& shares) {
  Json out = Json::array();
  for (const LayerChoice& layer : plan.layers) {
    Json row = {{"name", layer.name},
                {"weight_bits",
                 layer.filter_bits.empty() ? Json(layer.weight_bits) : Json(layer.filter_bits)},
                {"activation_bits", layer.activation_bits},
                {"method", layer.method}};
    if (const LayerSite* site = sites.layer(layer.name)) {
      row["op"] = site->type;
      row["weights"] = site->weights;
      row["macs"] = site->macs;
    }
    if (const auto share = shares.find(layer.name); share != shares.end())
      row["loss_share"] = share->second;
    if (!layer.reason.empty()) row["reason"] = layer.reason;
    out.push_back(std::move(row));
  }
  return out;
}

Json stored_rows(const QuantPlan& plan, const Sites& sites) {
  Json out = Json::array();
  for (const LayerChoice& choice : plan.stored) {
    const StoredSite* site = sites.stored_weight(choice.name);
    out.push_back({{"name", choice.name},
                   {"weight_bits", choice.weight_bits},
                   {"op", site ? site->type : ""},
                   {"weights", site ? site->weights : 0},
                   {"reason", text_or_null<Json>(choice.reason)}});
  }
  return out;
}

Json measured_json(const std::optional<Evaluation>& e) {
  if (!e) return Json();
  return {{"samples", e->samples},
          {"sqnr_db", std::isfinite(e->sqnr_db) ? Json(e->sqnr_db) : Json()},
          {"agreement", e->classifier ? Json(e->agreement) : Json()},
          {"expected_drop", e->expected_drop ? Json(*e->expected_drop) : Json()},
          {"expected_drop_error", e->expected_drop ? Json(e->expected_drop_error) : Json()}};
}

}  // namespace

std::string calibrate_json(const CalibrateSummary& s) {
  Json equalized = Json::array(), eased = Json::array();
  for (const EditedValue& e : s.equalized)
    equalized.push_back(
        {{"name", e.edit.value}, {"channels", e.edit.factors.size()}, {"gain_db", e.gain_db}});
  for (const EditedValue& e : s.eased)
    eased.push_back({{"name", e.edit.value},
                     {"methods", e.methods},
                     {"copies", e.edit.copies.size()},
                     {"gain_db", e.gain_db}});
  const Json json = {{"schema", "qtool.calibrate/1"},
                     {"workspace", s.workspace},
                     {"data", s.data},
                     {"random_data", s.table.random_data},
                     {"samples", s.table.samples},
                     {"skipped", s.skipped},
                     {"seconds", s.seconds},
                     {"samples_per_second",
                      s.seconds > 0 ? static_cast<double>(s.table.samples) / s.seconds : 0.0},
                     {"peak_rss_bytes", peak_rss_bytes()},
                     {"equalized", equalized},
                     {"outliers", eased},
                     {"tensors", tensors(s.table)}};
  return json_text(json);
}

std::string search_json(const SearchSummary& s) {
  const Assignment& a = s.assignment;
  const bool scored = !s.scores.groups.empty();
  Json json = {{"schema", "qtool.search/1"},
               {"source", a.plan.source},
               {"plan_file", s.plan_file},
               {"random_data", s.random_data},
               {"plan", plan_rows(a.plan, s.sites, loss_shares(a.plan, s.scores))},
               {"stored", stored_rows(a.plan, s.sites)},
               {"mean_weight_bits", a.cost.mean_weight_bits},
               {"mean_activation_bits", a.cost.mean_activation_bits},
               {"bpw", a.cost.bits_per_weight},
               {"size_bytes", a.cost.size_bytes},
               {"bops", a.cost.bops},
               {"latency_ms", a.latency_ms ? Json(*a.latency_ms) : Json()},
               {"peak_activation_bytes", a.peak_bytes},
               {"loss", scored ? Json(a.loss) : Json()},
               {"bound", scored ? Json(a.bound) : Json()},
               {"gap", scored ? Json(a.gap) : Json()},
               {"above_least", scored ? Json(a.above_least) : Json()},
               {"status", a.status},
               {"solver", a.solver},
               {"predicted", Json::object()},
               {"measured", measured_json(s.measured)},
               {"measured_how", s.measured_how},
               {"plans_tried", s.plans_tried},
               {"pareto", Json::array()}};
  for (const Frontier::Point& point : s.frontier.points) {
    json["pareto"].push_back({{"mean_weight_bits", point.cost.mean_weight_bits},
                              {"mean_activation_bits", point.cost.mean_activation_bits},
                              {"bpw", point.cost.bits_per_weight},
                              {"size_bytes", point.cost.size_bytes},
                              {"bops", point.cost.bops},
                              {"latency_ms", point.latency_ms ? Json(*point.latency_ms) : Json()},
                              {"loss", point.loss}});
    if (prices_noise(s.scores)) json["pareto"].back()["sqnr_db"] = relative_noise_db(point.loss);
  }
  if (s.verification) {
    json["verification"] = {{"plans", s.verification->plans},
                            {"samples", s.verification->samples},
                            {"spearman", s.verification->spearman},
                            {"pearson_log", s.verification->pearson_log},
                            {"median_ratio", s.verification->median_ratio}};
  }
  if (s.rescoring) {
    json["rescoring"] = {{"measured_over_predicted", s.rescoring->measured_over_predicted},
                         {"sqnr_before_db", s.rescoring->sqnr_before_db},
                         {"rounds", s.rescoring->rounds},
                         {"kept", s.rescoring->kept}};
  }
  if (scored)
    json["predicted"] = {
        {"relative_noise", prices_noise(s.scores) ? Json(a.loss) : Json()},
        {"sqnr_db", prices_noise(s.scores) ? Json(relative_noise_db(a.loss)) : Json()},
        {"score", s.scores.method},
        {"samples", s.scores.samples}};
  json["seconds"] = s.seconds;
  json["peak_rss_bytes"] = peak_rss_bytes();
  return json_text(json);
}

std::string quantize_json(const QuantizeSummary& s) {
  Json layers = Json::array();
  for (const QuantizedLayer& l : s.quantized.layers) {
    layers.push_back({{"name", l.name},
                      {"op", l.type},
                      {"method", l.method},
                      {"weight_bits", l.weight_bits},
                      {"activation_bits", l.activation_bits},
                      {"sqnr_db", l.sqnr_db},
                      {"bias_corrected", l.bias_corrected},
                      {"note", text_or_null<Json>(l.note)}});
  }
  Json steps = Json::array();
  for (const FitStep& step : s.quantized.steps) {
    steps.push_back({{"name", step.name},
                     {"block", step.block},
                     {"noise_before", step.before},
                     {"noise_after", step.after},
                     {"taken", step.taken},
                     {"seconds", step.seconds}});
  }
  const Json json = {{"schema", "qtool.quantize/1"},
                     {"output", s.output},
                     {"source", s.plan.source},
                     {"random_data", s.random_data},
                     {"size_bytes", s.size_bytes},
                     {"stored_bytes", s.quantized.stored_bytes},
                     {"float_bytes", s.float_bytes},
                     {"mean_weight_bits", s.quantized.mean_weight_bits},
                     {"bpw", s.quantized.bits_per_weight},
                     {"layers", layers},
                     {"steps", steps},
                     {"float_layers", reasons(s.quantized.float_layers)},
                     {"fused_prediction", s.quantized.fused_nodes},
                     {"seconds", s.seconds},
                     {"peak_rss_bytes", peak_rss_bytes()}};
  return json_text(json);
}

std::string dry_run_json(std::string_view command,
                         const std::vector<std::pair<std::string, std::string>>& steps) {
  const Json json = {
      {"schema", cat("qtool.", command, "/1")}, {"dry_run", true}, {"steps", pairs(steps)}};
  return json_text(json);
}

std::string joined_json(std::string_view command,
                        const std::vector<std::pair<std::string, std::string>>& parts) {
  Json json = {{"schema", cat("qtool.", command, "/1")}};
  for (const auto& [name, part] : parts) json[name] = Json::parse(part);
  return json_text(json);
}

std::string error_json(const Error& error) {
  const Json json = {{"schema", "qtool.error/1"},
                     {"code", error.code()},
                     {"message", printable(error.message(), 4000)},
                     {"context", error.context_lines()},
                     {"hint", error.hint_text()},
                     {"exit_code", static_cast<int>(error.kind())}};
  return json_text(json);
}

std::string report_json(const WorkspaceReport& r, const std::string& output) {
  Json json = {{"schema", "qtool.report/1"},
               {"model", r.model},
               {"model_fingerprint", r.fingerprint},
               {"data", r.data},
               {"output", output.empty() ? Json() : Json(output)},
               {"calibration", Json()},
               {"plan", Json()},
               {"evaluation", Json()}};
  if (r.calibration)
    json["calibration"] = {{"samples", r.calibration->samples},
                           {"random_data", r.calibration->random_data},
                           {"tensors", tensors(*r.calibration)}};
  if (r.plan) {
    json["plan"] = {{"source", r.plan->source},
                    {"mean_weight_bits", r.cost.mean_weight_bits},
                    {"mean_activation_bits", r.cost.mean_activation_bits},
                    {"bpw", r.cost.bits_per_weight},
                    {"size_bytes", r.cost.size_bytes},
                    {"bops", r.cost.bops},
                    {"layers", plan_rows(*r.plan, r.sites, {})},
                    {"stored", stored_rows(*r.plan, r.sites)}};
  }
  if (r.evaluation) json["evaluation"] = Json::parse(eval_json(*r.evaluation));
  return json_text(json);
}

}  // namespace qtool
