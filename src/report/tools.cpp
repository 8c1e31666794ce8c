#include <algorithm>
#include <numeric>

#include "report/text.hpp"

namespace qtool {

using namespace report;

Latency latency_of(std::vector<double> milliseconds) {
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto rank = [&](size_t percent) {
    const size_t n = milliseconds.size();
    return milliseconds[std::max<size_t>(1, (n * percent + 99) / 100) - 1];
  };
  return {milliseconds.front(), rank(50), rank(90), rank(95), rank(99)};
}

namespace {

// Multiply-accumulates in some milliseconds as billions of operations a second.
double gops(int64_t macs, double milliseconds) {
  return milliseconds > 0 ? 2e-6 * static_cast<double>(macs) / milliseconds : 0;
}

std::string latency_text(const Latency& l) {
  return cat("median ", fixed(l.median, 3), " ms, fastest ", fixed(l.fastest, 3), ", 90 % below ",
             fixed(l.p90, 3), ", 95 % ", fixed(l.p95, 3), ", 99 % ", fixed(l.p99, 3));
}

template <typename Get>
auto sum_of(const std::vector<StepInfo>& layers, Get get) {
  return std::accumulate(layers.begin(), layers.end(), decltype(get(layers[0])){},
                         [&](auto sum, const StepInfo& s) { return sum + get(s); });
}

Facts bench_facts(const BenchResult& r, double total_ms) {
  Facts facts = {{"model", printable(r.model)},
                 {"setting", cat("batch ", r.batch, ", ", r.threads,
                                 r.threads == 1 ? " thread, " : " threads, ",
                                 r.threads_used < r.threads ? "of which one is faster, " : "",
                                 printable(r.kernels, 40), " kernels, ", cpu_isa())},
                 {"speed", cat(fixed(r.samples_per_second, 1), " samples/s")},
                 {"latency", cat(latency_text(r.latency), ", ", r.runs, " runs")},
                 {"processor", cat(fixed(r.cpu_ms, 3), " ms a batch, all threads")},
                 {"memory", cat("peak ", human_bytes(static_cast<double>(peak_rss_bytes())))}};
  const int64_t macs = sum_of(r.layers, [](const StepInfo& s) { return s.macs; });
  if (macs > 0) {
    facts.emplace_back("layers", cat(fixed(gops(macs, total_ms), 1),
                                     " billion operations/s a thread; this machine's peak with ",
                                     r.threads, ": float ", fixed(r.peak.float_gflops, 0),
                                     ", integer ", fixed(r.peak.int8_gops, 0)));
  }
  if (r.random_data) facts.emplace_back("data", "random input of the model's shapes");
  if (r.rival) {
    facts.emplace_back(
        printable(r.rival->name, 40),
        cat(fixed(r.rival->samples_per_second, 1), " samples/s, ", latency_text(r.rival->latency)));
    facts.emplace_back("ratio", cat(fixed(r.samples_per_second / r.rival->samples_per_second, 2),
                                    " times as fast as ", printable(r.rival->name, 40)));
  }
  return facts;
}

}  // namespace

std::string bench_text(const BenchResult& r) {
  std::vector<StepInfo> layers = r.layers;
  std::stable_sort(layers.begin(), layers.end(), [](const StepInfo& a, const StepInfo& b) {
    return a.milliseconds > b.milliseconds;
  });
  const double total = sum_of(layers, [](const StepInfo& s) { return s.milliseconds; });
  constexpr size_t kShown = 20;
  Rows rows = {{"slowest steps", "op", "ms", "share", "G/s", "kernel"}};
  for (size_t i = 0; i < std::min(kShown, layers.size()); ++i) {
    const StepInfo& s = layers[i];
    rows.push_back({printable(s.name, 60), printable(s.type, 40), fixed(s.milliseconds, 3),
                    percent(total > 0 ? s.milliseconds / total : 0, 1),
                    s.macs > 0 ? fixed(gops(s.macs, s.milliseconds), 1) : "",
                    printable(s.kernel, 60)});
  }
  return facts_text(bench_facts(r, total)) + "\n" + format_table(rows);
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

std::string narrow_text(const NarrowResult& r) {
  return facts_text({{"output", printable(r.output)},
                     {"weights", cat("read at ", r.weight_bits, " bits")},
                     {"size", human_bytes(static_cast<double>(r.size_bytes))}});
}

namespace {

// A row with more to say than fits beside its name: its summary and the facts that it has below, in lines of a screen.
std::string described(const Listing& listing, size_t row) {
  constexpr size_t kColumns = 100;
  const std::string indent = "\n    ";
  std::string text =
      cat(printable(listing.rows[row].first), indent, printable(listing.rows[row].second), indent);
  size_t column = 0;
  for (size_t k = 0; k < listing.keys.size(); ++k) {
    const std::string& fact = listing.facts[row][k];
    if (fact.empty() || fact == "-") continue;
    const std::string part = cat(listing.keys[k], ": ", printable(fact));
    if (column > 0) text += column + part.size() > kColumns ? ";" + indent : "; ";
    column = (column + part.size() > kColumns ? 0 : column) + part.size() + 2;
    text += part;
  }
  return text + "\n";
}

}  // namespace

std::string list_text(const std::vector<Listing>& listings) {
  std::string text;
  for (const Listing& listing : listings) {
    if (!text.empty()) text += "\n";
    if (!listing.facts.empty()) {
      text += cat(listing.kind, "\n", std::string(listing.kind.size(), '-'), "\n");
      for (size_t r = 0; r < listing.rows.size(); ++r) text += described(listing, r);
      continue;
    }
    Rows rows = {{listing.kind, ""}};
    for (const auto& [name, summary] : listing.rows)
      rows.push_back({printable(name), printable(summary)});
    text += format_table(rows);
  }
  return text;
}

}  // namespace qtool
