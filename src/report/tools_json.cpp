#include <nlohmann/json.hpp>

#include "qtool/report.hpp"
#include "report/json_text.hpp"

namespace qtool {

using namespace report;
using Json = nlohmann::ordered_json;

static Json latency_json(const Latency& l) {
  return {
      {"fastest", l.fastest}, {"median", l.median}, {"p90", l.p90}, {"p95", l.p95}, {"p99", l.p99}};
}

std::string bench_json(const BenchResult& r) {
  Json layers = Json::array();
  for (const StepInfo& s : r.layers) {
    layers.push_back({{"name", s.name},
                      {"op", s.type},
                      {"ms", s.milliseconds},
                      {"macs", s.macs},
                      {"kernel", s.kernel}});
  }
  Json json = {{"schema", "qtool.bench/1"},
               {"model", r.model},
               {"isa", cpu_isa()},
               {"random_data", r.random_data},
               {"batch", r.batch},
               {"threads", r.threads},
               {"threads_used", r.threads_used},
               {"kernels", r.kernels},
               {"runs", r.runs},
               {"samples_per_second", r.samples_per_second},
               {"cpu_ms", r.cpu_ms},
               {"latency_ms", latency_json(r.latency)},
               {"peak", {{"float_gflops", r.peak.float_gflops}, {"int8_gops", r.peak.int8_gops}}},
               {"layers", layers},
               {"peak_rss_bytes", peak_rss_bytes()}};
  if (r.rival) {
    json["rival"] = {{"name", r.rival->name},
                     {"samples_per_second", r.rival->samples_per_second},
                     {"latency_ms", latency_json(r.rival->latency)},
                     {"ratio", r.samples_per_second / r.rival->samples_per_second}};
  }
  return json_text(json);
}

std::string compare_json(const Comparison& c) {
  Json rows = Json::array();
  for (const Comparison::Row& r : c.rows) {
    Json row = {{"name", r.name}, {"op", r.op}};
    if (r.note.empty()) {
      row["sqnr_db"] = r.sqnr_db;
      row["max_abs_error"] = r.max_abs_error;
    } else {
      row["note"] = r.note;
    }
    rows.push_back(std::move(row));
  }
  const Comparison::Row* first = c.first_divergence();
  const Json json = {{"schema", "qtool.compare/1"},
                     {"a", c.a},
                     {"b", c.b},
                     {"data", c.data},
                     {"random_data", c.random_data},
                     {"samples", c.samples},
                     {"threshold_db", c.threshold_db},
                     {"first_divergence", first ? Json(first->name) : Json()},
                     {"tensors", rows}};
  return json_text(json);
}

std::string narrow_json(const NarrowResult& r) {
  return json_text(Json{{"schema", "qtool.narrow/1"},
                        {"output", r.output},
                        {"weight_bits", r.weight_bits},
                        {"size_bytes", r.size_bytes}});
}

std::string list_json(const std::vector<Listing>& listings) {
  Json lists = Json::object();
  for (const Listing& listing : listings) {
    Json rows = Json::array();
    for (size_t r = 0; r < listing.rows.size(); ++r) {
      rows.push_back({{"name", listing.rows[r].first}, {"summary", listing.rows[r].second}});
      for (size_t k = 0; k < listing.keys.size(); ++k)
        rows.back()[listing.keys[k]] = listing.facts[r][k];
    }
    lists[listing.kind] = std::move(rows);
  }
  const Json json = {{"schema", "qtool.list/1"}, {"lists", lists}};
  return json_text(json);
}

}  // namespace qtool
