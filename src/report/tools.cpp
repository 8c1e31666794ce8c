#include <algorithm>
#include <numeric>

#include "report/text.hpp"

namespace qtool {

using namespace report;

std::string bench_text(const BenchResult& r) {
  Facts facts = {{"model", printable(r.model)},
                 {"setting", cat("batch ", r.batch, ", ", r.threads,
                                 r.threads == 1 ? " thread, " : " threads, ",
                                 printable(r.kernels, 40), " kernels, ", cpu_isa())},
                 {"speed", cat(fixed(r.samples_per_second, 1), " samples/s")},
                 {"latency", cat("median ", fixed(r.median_ms, 3), " ms, 95 % below ",
                                 fixed(r.p95_ms, 3), " ms, ", r.runs, " runs")}};
  if (r.random_data) facts.emplace_back("data", "random input of the model's shapes");
  std::vector<StepInfo> layers = r.layers;
  std::stable_sort(layers.begin(), layers.end(), [](const StepInfo& a, const StepInfo& b) {
    return a.milliseconds > b.milliseconds;
  });
  const double total =
      std::accumulate(layers.begin(), layers.end(), 0.0,
                      [](double sum, const StepInfo& s) { return sum + s.milliseconds; });
  constexpr size_t kShown = 20;
  Rows rows = {{"slowest steps", "op", "ms", "share", "kernel"}};
  for (size_t i = 0; i < std::min(kShown, layers.size()); ++i) {
    const StepInfo& s = layers[i];
    rows.push_back({printable(s.name, 60), printable(s.type, 40), fixed(s.milliseconds, 3),
                    percent(total > 0 ? s.milliseconds / total : 0, 1), printable(s.kernel, 60)});
  }
  return facts_text(facts) + "\n" + format_table(rows);
}

const Comparison::Row* Comparison::first_divergence() const {
  for (const Row& row : rows) {
    if (row.note.empty() && !(row.sqnr_db >= threshold_db)) return &row;
  }
  return nullptr;
}

std::string compare_text(const Comparison& c) {
  Rows rows = {{"value", "op", "SQNR dB", "max error", "note"}};
  for (const Comparison::Row& row : c.rows) {
    const bool compared = row.note.empty();
    rows.push_back({printable(row.name, 60), printable(row.op, 40),
                    compared ? number_text(row.sqnr_db) : "-",
                    compared ? number_text(row.max_abs_error) : "-", printable(row.note)});
  }
  Facts facts = {{"a", printable(c.a)}, {"b", printable(c.b)}, {"data", printable(c.data)}};
  const Comparison::Row* first = c.first_divergence();
  facts.emplace_back(
      "diverges", first ? cat("first at '", printable(first->name), "' (", printable(first->op, 40),
                              "), ", decibels(first->sqnr_db), " below ", decibels(c.threshold_db))
                        : cat("nowhere below ", decibels(c.threshold_db)));
  if (c.random_data) facts.emplace_back("warning", kRandomNote);
  return format_table(rows) + "\n" + facts_text(facts);
}

std::string list_text(const std::vector<Listing>& listings) {
  std::string text;
  for (const Listing& listing : listings) {
    Rows rows = {{listing.kind, ""}};
    for (const auto& [name, summary] : listing.rows)
      rows.push_back({printable(name), printable(summary)});
    if (!text.empty()) text += "\n";
    text += format_table(rows);
  }
  return text;
}

}  // namespace qtool
