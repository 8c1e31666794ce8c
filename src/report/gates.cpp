#include <cmath>

#include "report/text.hpp"

namespace qtool {

using namespace report;

namespace {

// Numbers that went through JSON and percent signs may differ in the last digit.
constexpr double kSlack = 1e-9;

[[noreturn]] void cannot_judge(const std::string& gate, std::string_view missing) {
  throw Error(ErrorKind::kUsage, "QT-E150", cat(gate, " needs ", missing))
      .hint("give what is missing, or leave the gate out");
}

GateResult at_least(std::string name, double limit, double value, std::string unit) {
  return {std::move(name), limit, value, value >= limit - kSlack, std::move(unit)};
}

GateResult at_most(std::string name, double limit, double value, std::string unit) {
  return {std::move(name), limit, value, value <= limit + kSlack, std::move(unit)};
}

void add_baseline(std::vector<GateResult>& results, const std::filesystem::path& path,
                  const Evaluation& now, int64_t size_bytes) {
  const EvalSummary before = load_evaluation(path);
  const Evaluation& was = before.evaluation;
  if (was.labelled && now.labelled)
    results.push_back(at_least("baseline top1", was.top1, now.top1, "%"));
  if (was.has_reference && was.classifier && now.has_reference)
    results.push_back(at_least("baseline agreement", was.agreement, now.agreement, "%"));
  if (was.has_reference && now.has_reference && std::isfinite(was.sqnr_db))
    results.push_back(at_least("baseline sqnr_db", was.sqnr_db, now.sqnr_db, "dB"));
  if (before.model_bytes > 0)
    results.push_back(at_most("baseline size_bytes", static_cast<double>(before.model_bytes),
                              static_cast<double>(size_bytes), "B"));
  if (results.empty())
    throw Error(ErrorKind::kUsage, "QT-E151",
                cat("the baseline ", printable(path.string()), " holds nothing to compare with"));
}

std::string value_text(const GateResult& gate, double value) {
  if (gate.unit == "%") return percent(value);
  return gate.unit == "dB" ? decibels(value) : human_bytes(value);
}

}  // namespace

std::vector<GateResult> check_gates(const Gates& gates, const Evaluation& e, int64_t size_bytes) {
  std::vector<GateResult> results;
  if (gates.min_top1) {
    if (!e.labelled) cannot_judge("--min-top1", "labelled data");
    results.push_back(at_least("--min-top1", *gates.min_top1, e.top1, "%"));
  }
  if (gates.max_drop) {
    if (!e.labelled || !e.has_reference)
      cannot_judge("--max-drop", "labelled data and a float model (--reference)");
    results.push_back(at_most("--max-drop", *gates.max_drop, e.reference_top1 - e.top1, "%"));
  }
  if (gates.min_agreement) {
    if (!e.classifier || !e.has_reference)
      cannot_judge("--min-agreement", "a classifier and its float model (--reference)");
    results.push_back(at_least("--min-agreement", *gates.min_agreement, e.agreement, "%"));
  }
  if (gates.min_sqnr_db) {
    if (!e.has_reference) cannot_judge("--min-sqnr", "the float model (--reference)");
    results.push_back(at_least("--min-sqnr", *gates.min_sqnr_db, e.sqnr_db, "dB"));
  }
  if (gates.max_size_bytes)
    results.push_back(
        at_most("--max-size", *gates.max_size_bytes, static_cast<double>(size_bytes), "B"));
  if (gates.baseline) add_baseline(results, *gates.baseline, e, size_bytes);
  return results;
}

std::string missed_gates(const std::vector<GateResult>& results) {
  std::string text;
  for (const GateResult& gate : results) {
    if (gate.passed) continue;
    const bool upper = gate.name.find("max") != std::string::npos || gate.unit == "B";
    text += cat(text.empty() ? "missed: " : "; ", gate.name, " ", value_text(gate, gate.value),
                " instead of at ", upper ? "most " : "least ", value_text(gate, gate.limit));
  }
  return text;
}

}  // namespace qtool
