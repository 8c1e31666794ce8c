#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "qtool/report.hpp"
#include "report/json_text.hpp"

namespace qtool {

using namespace report;
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {

Json reasons(const std::vector<std::pair<std::string, std::string>>& list) {
  Json out = Json::array();
  for (const auto& [name, reason] : list) out.push_back({{"name", name}, {"reason", reason}});
  return out;
}

Json outputs_of(const Evaluation& e) {
  Json out = Json::array();
  for (const OutputMetrics& o : e.outputs)
    out.push_back({{"name", o.name},
                   {"sqnr_db", o.sqnr_db},
                   {"cosine", o.cosine},
                   {"max_abs_error", o.max_abs_error},
                   {"resized_samples", o.resized}});
  return out;
}

Json integers_of(const IntegerArithmetic& a) {
  Json json = {{"codes", a.codes},
               {"different", a.different},
               {"largest_difference", a.largest_difference},
               {"multiplier_error", a.multiplier_error},
               {"float_nodes", a.float_nodes},
               {"accumulators", Json::array()}};
  for (const IntegerArithmetic::Layer& layer : a.accumulators)
    json["accumulators"].push_back(
        {{"name", layer.name}, {"bits", layer.bits}, {"bound_bits", layer.bound_bits}});
  return json;
}

// Everything that is the same in every run. Keys are there when they mean something.
Json quality(const EvalSummary& s) {
  const Evaluation& e = s.evaluation;
  Json json = {{"schema", "qtool.eval/1"},     {"model", s.model},
               {"size_bytes", s.model_bytes},  {"data", s.data},
               {"random_data", s.random_data}, {"samples", e.samples}};
  if (e.labelled) {
    json["top1"] = e.top1;
    json["top5"] = e.top5;
  }
  if (e.has_reference) {
    json["reference"] = {{"model", s.reference}};
    if (e.labelled) {
      json["reference"]["top1"] = e.reference_top1;
      json["reference"]["top5"] = e.reference_top5;
      json["drop"] = e.reference_top1 - e.top1;
    }
    if (e.classifier) {
      json["agreement"] = e.agreement;
      json["agreement_ci"] = {e.agreement_ci.first, e.agreement_ci.second};
    }
    json["sqnr_db"] = e.sqnr_db;
    json["outputs"] = outputs_of(e);
  }
  json["kernels"] = kernels_name(s.kernels);
  json["integer_layers"] = e.integer_layers;
  json["layers"] = e.layers.size();
  json["float_layers"] = reasons(e.float_layers);
  json["saturating_layers"] = e.saturating_layers;
  if (e.integer_only) json["integer_only"] = integers_of(*e.integer_only);
  return json;
}

double number_or(const Json& json, const char* key, double fallback) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : fallback;
}

EvalSummary parse_evaluation(const Json& json) {
  EvalSummary s;
  Evaluation& e = s.evaluation;
  s.model = json.value("model", "");
  s.data = json.value("data", "");
  s.random_data = json.value("random_data", false);
  s.model_bytes = static_cast<int64_t>(number_or(json, "size_bytes", 0));
  s.kernels = find_kernels(json.value("kernels", "integer")).value_or(Kernels::kFloat);
  e.samples = json.value("samples", int64_t{0});
  e.labelled = json.contains("top1");
  e.top1 = number_or(json, "top1", 0);
  e.top5 = number_or(json, "top5", 0);
  if (const auto reference = json.find("reference"); reference != json.end()) {
    e.has_reference = true;
    s.reference = reference->value("model", "");
    e.reference_top1 = number_or(*reference, "top1", 0);
    e.reference_top5 = number_or(*reference, "top5", 0);
  }
  e.classifier = json.contains("agreement") || e.labelled;
  e.agreement = number_or(json, "agreement", 0);
  if (const auto ci = json.find("agreement_ci"); ci != json.end())
    e.agreement_ci = {ci->at(0), ci->at(1)};
  // Infinite is written as null.
  e.sqnr_db = number_or(json, "sqnr_db", std::numeric_limits<double>::infinity());
  e.integer_layers = json.value("integer_layers", int64_t{0});
  e.layers.resize(std::min<size_t>(json.value("layers", size_t{0}), 1'000'000));
  for (const Json& row : json.value("float_layers", Json::array()))
    e.float_layers.emplace_back(row.at("name"), row.at("reason"));
  for (const Json& row : json.value("saturating_layers", Json::array()))
    e.saturating_layers.push_back(row);
  return s;
}

}  // namespace

std::string eval_json(const EvalSummary& s) {
  Json json = quality(s);
  if (!s.gates.empty()) {
    json["gates"] = Json::array();
    for (const GateResult& g : s.gates)
      json["gates"].push_back(
          {{"name", g.name}, {"limit", g.limit}, {"value", g.value}, {"passed", g.passed}});
  }
  json["samples_per_second"] = s.evaluation.samples_per_second;
  json["seconds"] = s.evaluation.seconds;
  json["peak_rss_bytes"] = peak_rss_bytes();
  return json_text(json);
}

void save_evaluation(const EvalSummary& s, const fs::path& path) {
  const Json json = quality(s);
  write_file_atomic(path, json_text(json));
}

EvalSummary load_evaluation(const fs::path& path) {
  try {
    Json json = Json::parse(read_file(path, ErrorKind::kUsage));
    if (json.value("schema", "") == "qtool.auto/1" && json.contains("eval"))
      json = Json(json["eval"]);
    if (json.value("schema", "") == "qtool.eval/1") return parse_evaluation(json);
  } catch (const Json::exception& e) {
    throw Error(ErrorKind::kUsage, "QT-E151",
                cat(printable(path.string()), " is no result of eval: ", printable(e.what())));
  }
  throw Error(ErrorKind::kUsage, "QT-E151",
              cat(printable(path.string()), " is no result of eval or auto"))
      .hint("write it with `qtool eval --json`");
}

std::string verify_json(const std::vector<CaseResult>& cases, double seconds) {
  int64_t passed = 0, failed = 0, unsupported = 0;
  Json list = Json::array();
  for (const CaseResult& c : cases) {
    const char* status = "passed";
    if (c.status == CaseResult::Status::kPassed)
      ++passed;
    else if (c.status == CaseResult::Status::kFailed)
      ++failed, status = "failed";
    else
      ++unsupported, status = "unsupported";
    list.push_back({{"name", c.name},
                    {"status", status},
                    {"reason", c.reason.empty() ? Json() : Json(c.reason)},
                    {"max_abs_error", c.max_abs_error}});
    if (c.reason.empty()) list.back().erase("reason");
  }
  const Json json = {{"schema", "qtool.verify/1"}, {"passed", passed},   {"failed", failed},
                     {"unsupported", unsupported}, {"seconds", seconds}, {"cases", list}};
  return json_text(json);
}

}  // namespace qtool
