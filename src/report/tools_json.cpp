#include <nlohmann/json.hpp>

#include "qtool/report.hpp"
#include "report/json_text.hpp"

namespace qtool {

using namespace report;
using Json = nlohmann::ordered_json;

std::string bench_json(const BenchResult& r) {
  Json layers = Json::array();
  for (const StepInfo& s : r.layers)
    layers.push_back(
        {{"name", s.name}, {"op", s.type}, {"ms", s.milliseconds}, {"kernel", s.kernel}});
  const Json json = {{"schema", "qtool.bench/1"},
                     {"model", r.model},
                     {"isa", cpu_isa()},
                     {"random_data", r.random_data},
                     {"batch", r.batch},
                     {"threads", r.threads},
                     {"kernels", r.kernels},
                     {"runs", r.runs},
                     {"samples_per_second", r.samples_per_second},
                     {"latency_ms", {{"median", r.median_ms}, {"p95", r.p95_ms}}},
                     {"layers", layers},
                     {"peak_rss_bytes", peak_rss_bytes()}};
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

std::string list_json(const std::vector<Listing>& listings) {
  Json lists = Json::object();
  for (const Listing& listing : listings) {
    Json rows = Json::array();
    for (const auto& [name, summary] : listing.rows)
      rows.push_back({{"name", name}, {"summary", summary}});
    lists[listing.kind] = std::move(rows);
  }
  const Json json = {{"schema", "qtool.list/1"}, {"lists", lists}};
  return json_text(json);
}

}  // namespace qtool
