#include "report/stages.hpp"

#include <algorithm>
#include <cmath>

#include "report/text.hpp"

namespace qtool {

using namespace report;

namespace report {
namespace {

std::string edited_text(const std::vector<EditedValue>& values) {
  double most = 0;
  for (const EditedValue& e : values) most = std::max(most, e.gain_db);
  return cat("the channels of ", values.size(), values.size() == 1 ? " tensor" : " tensors",
             ", up to ", fixed(most, 1), " dB less rounding noise in what they are quantized to");
}

// ": shift 3, split 18", how many values each method took part in.
std::string methods_text(const std::vector<EditedValue>& values) {
  std::map<std::string, int> counts;
  for (const EditedValue& e : values)
    for (const std::string& method : e.methods) ++counts[method];
  std::string text;
  for (const auto& [method, count] : counts)
    text += cat(text.empty() ? ": " : ", ", method, " ", count);
  return text;
}

std::string stored_text(const QuantPlan& plan) {
  return bits_histogram(plan.stored) + " (tables, recurrent cells, bodies of loops and branches)";
}

// The noise of one candidate; empty when the width was no candidate.
std::optional<double> price(const std::vector<Width>& widths, const std::vector<double>& noise,
                            const Width& width) {
  const auto at = std::ranges::find(widths, width);
  if (at == widths.end()) return std::nullopt;
  return noise[static_cast<size_t>(at - widths.begin())];
}

}  // namespace

LossShares loss_shares(const QuantPlan& plan, const ScoreTable& scores) {
  LossShares shares;
  double total = 0;
  for (const GroupScore& group : scores.groups) {
    Width width = kFloatBits;
    const bool weights = group.kind == GroupKind::kWeights;
    if (weights) {
      if (const LayerChoice* layer = plan.layer(group.name))
        width = {layer->weight_bits, layer->format};
    } else if (const auto found = plan.activation_bits.find(group.name);
               found != plan.activation_bits.end()) {
      width = found->second;
    }
    const LayerChoice* layer = weights ? plan.layer(group.name) : nullptr;
    double noise = 0;
    if (layer && !layer->filter_bits.empty() &&
        layer->filter_bits.size() == group.filter_noise.size()) {
      for (size_t f = 0; f < layer->filter_bits.size(); ++f)
        noise += price(group.widths, group.filter_noise[f], layer->filter_bits[f]).value_or(0);
    } else if (const auto found = price(group.widths, group.noise, width)) {
      noise = *found;
    } else {
      continue;
    }
    total += noise;
    if (weights) shares[group.name] = noise;
  }
  if (total > 0) {
    for (auto& [name, noise] : shares) noise /= total;
  }
  return shares;
}

double relative_noise_db(double noise) { return -10 * std::log10(noise); }

}  // namespace report

std::string calibrate_text(const CalibrateSummary& s) {
  const double rate = s.seconds > 0 ? static_cast<double>(s.table.samples) / s.seconds : 0;
  Facts facts = {
      {"data", printable(s.data)},
      {"samples", cat(s.table.samples, s.skipped ? cat(", ", s.skipped, " skipped") : "")},
      {"tensors", std::to_string(s.table.values.size())},
      {"workspace", printable(s.workspace)},
      {"time", cat(fixed(s.seconds, 2), " s, ", fixed(rate, 0), " samples/s, peak memory ",
                   human_bytes(static_cast<double>(peak_rss_bytes())))}};
  if (!s.equalized.empty()) facts.emplace_back("equalised", edited_text(s.equalized));
  if (!s.eased.empty())
    facts.emplace_back("outliers", edited_text(s.eased) + methods_text(s.eased));
  if (s.table.random_data) facts.emplace_back("warning", kRandomNote);
  std::string text = facts_text(facts);
  // The extremes of everything are in --json and the report; a terminal gets the widest.
  constexpr size_t kShown = 10;
  std::vector<std::pair<std::string, const ValueStats*>> widest;
  for (const auto& [name, stats] : s.table.values) widest.emplace_back(name, &stats);
  const auto width = [](const auto& v) { return v.second->max - v.second->min; };
  std::stable_sort(widest.begin(), widest.end(),
                   [&](const auto& a, const auto& b) { return width(a) > width(b); });
  Rows rows = {{"widest tensors", "min", "max", "mean"}};
  for (size_t i = 0; i < std::min(kShown, widest.size()); ++i) {
    const auto& [name, v] = widest[i];
    rows.push_back({printable(name, 60), number_text(v->min), number_text(v->max),
                    number_text(v->count ? v->sum / static_cast<double>(v->count) : 0)});
  }
  return text + "\n" + format_table(rows);
}

static std::string rescoring_text(const Rescoring& r, const std::optional<Evaluation>& measured) {
  const std::string ratio =
      cat("measured noise was ", fixed(r.measured_over_predicted, 2), " times the predicted");
  if (r.measured_over_predicted <= 1) return ratio + ": prices hold";
  if (r.rounds == 0) return ratio + "; prices found again around the plan lead to the same one";
  return cat(ratio, ", so prices were found again around the plan: ", r.kept, " of ", r.rounds,
             r.rounds == 1 ? " plan" : " plans", " kept",
             r.kept > 0 && measured
                 ? cat(", ", decibels(r.sqnr_before_db), " -> ", decibels(measured->sqnr_db))
                 : std::string());
}

std::string search_text(const SearchSummary& s) {
  const Assignment& a = s.assignment;
  Rows rows = {{"layer", "op", "weights", "bits", "input bits", "loss"}};
  const LossShares shares = loss_shares(a.plan, s.scores);
  for (const LayerChoice& layer : a.plan.layers) {
    const LayerSite* site = s.sites.layer(layer.name);
    const auto share = shares.find(layer.name);
    rows.push_back({printable(layer.name, 60), site ? printable(site->type, 40) : "",
                    site ? std::to_string(site->weights) : "", width_text(layer),
                    bits_text(layer.activation_bits),
                    share == shares.end() ? "-" : percent(share->second, 1)});
  }
  for (const LayerChoice& stored : a.plan.stored) {
    const StoredSite* site = s.sites.stored_weight(stored.name);
    rows.push_back({printable(stored.name, 60), site ? printable(site->type, 40) : "",
                    site ? std::to_string(site->weights) : "", width_text(stored), "as stored",
                    "-"});
  }
  Facts facts = {{"plan", cat(printable(a.plan.source), " -> ", printable(s.plan_file))},
                 {"mean bits", cat(fixed(a.cost.mean_weight_bits, 3), " of weights, ",
                                   fixed(a.cost.mean_activation_bits, 3), " of activations, ",
                                   fixed(a.cost.bits_per_weight, 3), " a weight as stored")},
                 {"layers", bits_histogram(a.plan.layers)},
                 {"weights", human_bytes(static_cast<double>(a.cost.size_bytes))},
                 {"work", human_count(a.cost.bops) + " bit operations a sample"}};
  if (!a.plan.stored.empty()) facts.emplace_back("as stored", stored_text(a.plan));
  if (a.latency_ms)
    facts.emplace_back("latency", number_text(*a.latency_ms) + " ms a sample, predicted");
  if (a.peak_bytes > 0) {
    facts.emplace_back("activations", human_bytes(static_cast<double>(a.peak_bytes)) +
                                          " at most at once, a sample");
  }
  if (!s.scores.groups.empty()) {
    facts.emplace_back(
        "predicted",
        cat("loss ", number_text(a.loss),
            prices_noise(s.scores) ? cat(" (SQNR about ", decibels(relative_noise_db(a.loss)), ")")
                                   : std::string(" in the score's own unit")));
    facts.emplace_back(
        "bound",
        cat(number_text(a.bound), ", gap ", percent(a.gap, 3), ", ", a.status, " by ", a.solver,
            a.above_least > 0 ? cat("; measured best, this plan is predicted ",
                                    percent(a.above_least, 3), " above the least")
                              : std::string()));
    facts.emplace_back("scores", cat(s.scores.method, " on ", s.scores.samples, " samples"));
  }
  if (s.measured) {
    const Evaluation& e = *s.measured;
    facts.emplace_back(
        "measured",
        cat("SQNR ", decibels(e.sqnr_db),
            e.classifier ? cat(", agreement ", percent(e.agreement, 2)) : std::string(),
            e.expected_drop ? cat(", expected drop ", percent(*e.expected_drop, 2), " ± ",
                                  percent(e.expected_drop_error, 2))
                            : std::string(),
            " on ", e.samples, " samples",
            s.measured_how.empty() ? std::string() : cat(" (", s.measured_how, ")"),
            s.plans_tried > 1 ? cat(", best of ", s.plans_tried, " plans") : std::string()));
  }
  if (s.rescoring) facts.emplace_back("re-scored", rescoring_text(*s.rescoring, s.measured));
  if (s.verification) {
    const Verification& v = *s.verification;
    facts.emplace_back("prediction",
                       cat("rank correlation ", fixed(v.spearman, 3), " with measured noise over ",
                           v.plans, " random plans, of logarithms ", fixed(v.pearson_log, 3),
                           ", measured / predicted ", fixed(v.median_ratio, 2)));
  }
  facts.emplace_back("time", cat(fixed(s.seconds, 2), " s, peak memory ",
                                 human_bytes(static_cast<double>(peak_rss_bytes()))));
  if (s.random_data) facts.emplace_back("warning", kRandomNote);
  return format_table(rows) + "\n" + facts_text(facts) +
         frontier_text(s.frontier, prices_noise(s.scores));
}

// What each step of fitting gained; the first alone says little.
static std::string steps_text(const std::vector<FitStep>& steps) {
  if (steps.size() < 2) return "";
  std::vector<std::vector<std::string>> rows = {
      {"step", "fitted", "held-out SQNR", "gain", "taken", "time"}};
  for (size_t i = 0; i < steps.size(); ++i) {
    const FitStep& step = steps[i];
    rows.push_back(
        {cat(i + 1), cat(step.name, step.block.empty() ? "" : " from ", printable(step.block)),
         decibels(relative_noise_db(step.after)),
         decibels(relative_noise_db(step.after) - relative_noise_db(step.before)), cat(step.taken),
         step.seconds > 0 ? cat(fixed(step.seconds, 1), " s") : "earlier"});
  }
  return cat("\n", format_table(rows));
}

std::string quantize_text(const QuantizeSummary& s) {
  const double ratio =
      s.size_bytes > 0 ? static_cast<double>(s.float_bytes) / static_cast<double>(s.size_bytes) : 0;
  const auto corrected = std::count_if(s.quantized.layers.begin(), s.quantized.layers.end(),
                                       [](const QuantizedLayer& l) { return l.bias_corrected; });
  Facts facts = {{"output", printable(s.output)},
                 {"plan", printable(s.plan.source)},
                 {"layers", bits_histogram(s.plan.layers)},
                 {"mean bits", cat(fixed(s.quantized.mean_weight_bits, 3), " of weights, ",
                                   fixed(s.quantized.bits_per_weight, 3), " a weight as stored")},
                 {"size", cat(human_bytes(static_cast<double>(s.float_bytes)), " -> ",
                              human_bytes(static_cast<double>(s.size_bytes)), " (", fixed(ratio, 2),
                              " times smaller), constants ",
                              human_bytes(static_cast<double>(s.quantized.stored_bytes)))},
                 {"fused", counted(static_cast<size_t>(s.quantized.fused_nodes), "node") +
                               " predicted to run on codes"},
                 {"bias", counted(static_cast<size_t>(corrected), "layer") + " corrected"},
                 {"time", cat(fixed(s.seconds, 2), " s, peak memory ",
                              human_bytes(static_cast<double>(peak_rss_bytes())))}};
  if (!s.plan.stored.empty()) facts.emplace_back("as stored", stored_text(s.plan));
  if (s.random_data) facts.emplace_back("warning", kRandomNote);
  std::string text = facts_text(facts);
  Reasons notes;
  for (const QuantizedLayer& layer : s.quantized.layers) {
    if (!layer.note.empty()) notes.emplace_back(layer.name, layer.note);
  }
  text += reasons_text(cat("in float (", counted(s.quantized.float_layers.size(), "layer"), ")"),
                       s.quantized.float_layers);
  return text + reasons_text("notes", notes) + steps_text(s.quantized.steps);
}

std::string dry_run_text(const std::vector<std::pair<std::string, std::string>>& steps) {
  Facts facts;
  for (const auto& [label, value] : steps) facts.emplace_back(label, printable(value, 1000));
  return "nothing was written (--dry-run)\n" + facts_text(facts);
}

}  // namespace qtool
