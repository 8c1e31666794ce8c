#include <algorithm>

#include "report/text.hpp"

namespace qtool {

using namespace report;

namespace {

constexpr std::pair<std::string_view, Kernels> kKernels[] = {
    {"integer", Kernels::kInteger},
    {"integer-only", Kernels::kIntegerOnly},
    {"simulated", Kernels::kSimulated},
    {"float", Kernels::kFloat}};

}  // namespace

std::string kernels_name(Kernels kernels) {
  return std::string(
      std::ranges::find(kKernels, kernels, &std::pair<std::string_view, Kernels>::second)->first);
}

std::optional<Kernels> find_kernels(std::string_view name) {
  const auto at = std::ranges::find(kKernels, name, &std::pair<std::string_view, Kernels>::first);
  return at == std::end(kKernels) ? std::nullopt : std::optional(at->second);
}

namespace {

Facts integer_facts(const IntegerArithmetic& a) {
  Facts facts;
  if (const auto* widest = a.widest()) {
    const int bound = std::ranges::max_element(a.accumulators, {}, [](const auto& layer) {
                        return layer.bound_bits;
                      })->bound_bits;
    facts.emplace_back("sums", cat(widest->bits, " bits at most (", printable(widest->name, 60),
                                   "), ", bound, " for any input"));
  }
  facts.emplace_back("requantized",
                     cat(a.different, " of ", human_count(static_cast<double>(a.codes)),
                         " codes differ from those of float scales, by ", a.largest_difference,
                         " at most; multipliers are exact to ", number_text(a.multiplier_error)));
  if (!a.float_nodes.empty()) {
    facts.emplace_back(
        "in float",
        cat("before or behind all codes: ", printable(a.float_nodes[0]),
            a.float_nodes.size() > 1 ? cat(" and ", a.float_nodes.size() - 1, " more") : ""));
  }
  return facts;
}

std::string accuracy_text(const Evaluation& e, double have, double reference) {
  if (!e.has_reference) return percent(have);
  return cat("quantized ", percent(have), ", float ", percent(reference), ", drop ",
             percent(reference - have));
}

std::string gates_text(const std::vector<GateResult>& gates) {
  std::string text;
  for (const GateResult& gate : gates)
    text += cat(text.empty() ? "" : ", ", gate.name, " ", gate.passed ? "holds" : "MISSED");
  return text;
}

}  // namespace

std::string eval_text(const EvalSummary& s) {
  const Evaluation& e = s.evaluation;
  Facts facts = {{"model", cat(printable(s.model), " (",
                               human_bytes(static_cast<double>(s.model_bytes)), ")")}};
  if (e.has_reference) facts.emplace_back("reference", printable(s.reference));
  facts.emplace_back("data", printable(s.data));
  facts.emplace_back("samples", std::to_string(e.samples));
  if (e.labelled) {
    facts.emplace_back("top-1", accuracy_text(e, e.top1, e.reference_top1));
    facts.emplace_back("top-5", accuracy_text(e, e.top5, e.reference_top5));
  }
  if (e.has_reference && e.classifier) {
    facts.emplace_back("agreement",
                       cat(percent(e.agreement), " (95 % interval ", percent(e.agreement_ci.first),
                           " to ", percent(e.agreement_ci.second), ")"));
  }
  if (e.has_reference) facts.emplace_back("SQNR", decibels(e.sqnr_db));
  if (e.outputs.size() > 1) {
    for (const OutputMetrics& o : e.outputs)
      facts.emplace_back("output", cat(printable(o.name, 60), ": ", decibels(o.sqnr_db),
                                       ", cosine ", fixed(o.cosine, 6)));
  }
  for (const OutputMetrics& o : e.outputs)
    if (o.resized > 0)
      facts.emplace_back(
          "sizes", cat(printable(o.name, 60), " has other dimensions than the reference's in ",
                       o.resized, " of ", e.samples, " samples, which count as lost"));
  if (s.kernels == Kernels::kInteger)
    facts.emplace_back(
        "kernels", cat(e.integer_layers, " of ", e.layers.size(), " layers on integer kernels"));
  else
    facts.emplace_back("kernels", kernels_name(s.kernels));
  if (e.integer_only) std::ranges::copy(integer_facts(*e.integer_only), std::back_inserter(facts));
  facts.emplace_back("speed", cat(fixed(e.samples_per_second, 0), " samples/s, peak memory ",
                                  human_bytes(static_cast<double>(peak_rss_bytes()))));
  if (!s.gates.empty()) facts.emplace_back("gates", gates_text(s.gates));
  if (s.random_data) facts.emplace_back("warning", kRandomNote);
  std::string text = facts_text(facts);
  text +=
      reasons_text(cat("in float (", counted(e.float_layers.size(), "layer"), ")"), e.float_layers);
  Reasons saturating;
  for (const std::string& layer : e.saturating_layers)
    saturating.emplace_back(layer, "pair sums may saturate on this CPU without VNNI");
  return text + reasons_text("warning", saturating);
}

std::string verify_text(const std::vector<CaseResult>& cases) {
  std::string text;
  int64_t passed = 0, failed = 0, unsupported = 0;
  for (const CaseResult& c : cases) {
    if (c.status == CaseResult::Status::kPassed) {
      ++passed;
      continue;
    }
    const bool is_failure = c.status == CaseResult::Status::kFailed;
    ++(is_failure ? failed : unsupported);
    text += cat(is_failure ? "failed       " : "unsupported  ", printable(c.name, 100), ": ",
                printable(c.reason), "\n");
  }
  return cat(text, passed, " passed, ", failed, " failed, ", unsupported, " unsupported\n");
}

}  // namespace qtool
