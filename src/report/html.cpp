#include <algorithm>

#include "report/text.hpp"

namespace qtool {

using namespace report;

namespace {

constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 "
    "1rem;color:#1c1e21;background:#fff}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ddd}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.2rem "
    ".6rem;text-align:left;border-bottom:1px solid #eee}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}code{word-break:break-all}"
    ".bar{background:#4a7dbd;height:.6rem;display:inline-block}.warn{background:#fff3cd;padding:."
    "5rem}"
    "@media(prefers-color-scheme:dark){body{background:#16181b;color:#e4e6e8}th,td{border-color:#"
    "333}.warn{background:#5c4a10}}";

// Text that HTML shows as it is, in elements and attributes.
std::string escaped(std::string_view text) {
  std::string out;
  for (char c : printable(text, 1000)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  return out;
}

std::string cell(std::string_view text) { return cat("<td>", escaped(text), "</td>"); }
std::string number_cell(std::string_view text) {
  return cat("<td class=n>", escaped(text), "</td>");
}

std::string header(const std::vector<std::string>& names) {
  std::string html = "<table><tr>";
  for (const std::string& name : names) html += cat("<th>", escaped(name), "</th>");
  return html + "</tr>\n";
}

std::string fact_rows(const Facts& facts) {
  std::string html = "<table>";
  for (const auto& [label, value] : facts)
    html += cat("<tr><th>", escaped(label), "</th>", cell(value), "</tr>\n");
  return html + "</table>\n";
}

std::string evaluation_section(const EvalSummary& s) {
  const Evaluation& e = s.evaluation;
  Facts facts = {{"Model", s.model}, {"Data", cat(s.data, ", ", e.samples, " samples")}};
  if (e.labelled)
    facts.emplace_back(
        "Top-1",
        cat(percent(e.top1), e.has_reference ? cat(", float ", percent(e.reference_top1)) : ""));
  if (e.labelled)
    facts.emplace_back(
        "Top-5",
        cat(percent(e.top5), e.has_reference ? cat(", float ", percent(e.reference_top5)) : ""));
  if (e.has_reference && e.classifier) {
    facts.emplace_back("Agreement", cat(percent(e.agreement), " (", percent(e.agreement_ci.first),
                                        " to ", percent(e.agreement_ci.second), ")"));
  }
  if (e.has_reference) facts.emplace_back("SQNR", decibels(e.sqnr_db));
  facts.emplace_back("Size", human_bytes(static_cast<double>(s.model_bytes)));
  facts.emplace_back("Integer layers", cat(e.integer_layers, " of ", e.layers.size()));
  std::string html = "<h2>Quality</h2>\n" + fact_rows(facts);
  if (s.random_data) html += cat("<p class=warn>", kRandomNote, "</p>\n");
  if (e.float_layers.empty()) return html;
  html += "<h2>Layers that run in float</h2>\n" + header({"Layer", "Reason"});
  for (const auto& [name, reason] : e.float_layers)
    html += cat("<tr>", cell(name), cell(reason), "</tr>\n");
  return html + "</table>\n";
}

std::string plan_section(const WorkspaceReport& r) {
  const PlanCost& cost = r.cost;
  std::string html =
      "<h2>Plan</h2>\n" +
      fact_rows({{"Source", r.plan->source},
                 {"Mean weight bits", fixed(cost.mean_weight_bits, 3)},
                 {"Mean activation bits", fixed(cost.mean_activation_bits, 3)},
                 {"Weights as stored", human_bytes(static_cast<double>(cost.size_bytes))},
                 {"Bit operations a sample", human_count(cost.bops)}});
  html += header({"Layer", "Operator", "Weights", "Bits", "", "Input bits", "Method", "Note"});
  for (const LayerChoice& layer : r.plan->layers) {
    const LayerSite* site = r.sites.layer(layer.name);
    const int width = static_cast<int>(mean_bits(layer) * 4);
    html += cat("<tr>", cell(layer.name), cell(site ? site->type : ""),
                number_cell(site ? std::to_string(site->weights) : ""),
                number_cell(width_text(layer)), "<td><span class=bar style=\"width:", width,
                "px\"></span></td>", number_cell(bits_text(layer.activation_bits)),
                cell(layer.method), cell(layer.reason), "</tr>\n");
  }
  for (const LayerChoice& stored : r.plan->stored) {
    const StoredSite* site = r.sites.stored_weight(stored.name);
    html +=
        cat("<tr>", cell(stored.name), cell(site ? site->type : ""),
            number_cell(site ? std::to_string(site->weights) : ""), number_cell(width_text(stored)),
            "<td></td>", cell("as stored"), cell(stored.method), cell(stored.reason), "</tr>\n");
  }
  return html + "</table>\n";
}

std::string calibration_section(const CalibrationTable& table, const std::string& data) {
  std::string html = "<h2>Calibration</h2>\n" +
                     fact_rows({{"Data", data}, {"Samples", std::to_string(table.samples)}});
  if (table.random_data) html += cat("<p class=warn>", kRandomNote, "</p>\n");
  html += header({"Value", "Shape", "Min", "Max", "Mean"});
  for (const auto& [name, v] : table.values) {
    html += cat("<tr>", cell(name), cell(shape_text(v.shape)), number_cell(number_text(v.min)),
                number_cell(number_text(v.max)),
                number_cell(number_text(v.count ? v.sum / static_cast<double>(v.count) : 0)),
                "</tr>\n");
  }
  return html + "</table>\n";
}

}  // namespace

std::string report_html(const WorkspaceReport& r) {
  std::string html =
      cat("<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>qtool "
          "report</title>\n<style>",
          kStyle, "</style></head><body>\n<h1>",
          escaped(std::filesystem::path(r.model).filename().string()), "</h1>\n",
          fact_rows({{"Model", r.model}, {"SHA-256", r.fingerprint}}));
  if (r.evaluation) html += evaluation_section(*r.evaluation);
  if (r.plan) html += plan_section(r);
  if (r.calibration) html += calibration_section(*r.calibration, r.data);
  return cat(html, "<p>qtool ", kVersion, "</p>\n</body></html>\n");
}

std::string report_text(const WorkspaceReport& r) {
  Facts facts = {{"model", printable(r.model)},
                 {"sha256", printable(r.fingerprint)},
                 {"data", printable(r.data)}};
  if (r.calibration)
    facts.emplace_back("calibration", cat(r.calibration->samples, " samples, ",
                                          r.calibration->values.size(), " tensors"));
  if (r.plan) {
    facts.emplace_back("plan",
                       cat(printable(r.plan->source), ": ", bits_histogram(r.plan->layers)));
    facts.emplace_back("mean bits", cat(fixed(r.cost.mean_weight_bits, 3), " of weights, ",
                                        fixed(r.cost.mean_activation_bits, 3), " of activations"));
    facts.emplace_back("weights", human_bytes(static_cast<double>(r.cost.size_bytes)));
  }
  if (r.evaluation) {
    const Evaluation& e = r.evaluation->evaluation;
    if (e.labelled)
      facts.emplace_back(
          "top-1",
          cat(percent(e.top1), e.has_reference ? cat(", float ", percent(e.reference_top1)) : ""));
    if (e.has_reference && e.classifier) facts.emplace_back("agreement", percent(e.agreement));
    if (e.has_reference) facts.emplace_back("SQNR", decibels(e.sqnr_db));
  }
  if (r.calibration && r.calibration->random_data) facts.emplace_back("warning", kRandomNote);
  return facts_text(facts);
}

}  // namespace qtool
