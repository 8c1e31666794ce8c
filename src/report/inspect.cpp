#include <algorithm>

#include "report/text.hpp"

namespace qtool {

using namespace report;

namespace {

Inspection::Port port(const Value& value) {
  return {value.name, dtype_name(value.dtype), value.shape.value_or(Shape{}),
          value.shape.has_value()};
}

std::string port_text(const Inspection::Port& p) {
  return cat(printable(p.name, 60), " ", p.type, " ",
             p.shape_known ? shape_text(p.shape) : "of any shape");
}

}  // namespace

Inspection inspect(const Model& model, const Sites& sites) {
  Inspection in;
  in.path = model.path.string();
  in.sha256 = model.fingerprint;
  in.ir_version = model.ir_version;
  in.opset = model.opset();
  const Graph& g = model.graph;
  for (ValueId v : g.inputs) {
    if (!g.constant(v)) in.inputs.push_back(port(g.value(v)));
  }
  for (ValueId v : g.outputs) in.outputs.push_back(port(g.value(v)));
  for (const auto& [id, initializer] : g.initializers) in.parameters += initializer.data.size();
  for (const Node& node : g.nodes)
    ++in.operators[node.domain.empty() ? node.type : cat(node.domain, ".", node.type)];
  for (const LayerSite& layer : sites.layers) in.macs += layer.macs;
  in.layers = sites.layers;
  in.nodes = sites.nodes;
  in.stored = sites.stored;
  return in;
}

std::string inspect_text(const Inspection& in) {
  Facts facts = {{"model", printable(in.path)},
                 {"sha256", in.sha256},
                 {"format", cat("IR ", in.ir_version, ", opset ", in.opset)}};
  for (const auto& p : in.inputs) facts.emplace_back("input", port_text(p));
  for (const auto& p : in.outputs) facts.emplace_back("output", port_text(p));
  const auto quantizable = std::count_if(in.layers.begin(), in.layers.end(),
                                         [](const LayerSite& l) { return l.reason.empty(); });
  facts.emplace_back(
      "size", cat(human_count(static_cast<double>(in.parameters)), " parameters, ",
                  human_count(static_cast<double>(in.macs)), " multiply-accumulates a sample"));
  facts.emplace_back("layers",
                     cat(in.layers.size(), " with weights, ", quantizable, " quantizable"));
  std::string operators;
  for (const auto& [type, count] : in.operators)
    operators += cat(operators.empty() ? "" : ", ", count, " ", printable(type, 60));
  facts.emplace_back("operators", operators);
  std::string text = facts_text(facts);
  Rows rows = {{"layer", "op", "weights", "MACs", "share", "quantizable"}};
  for (const LayerSite& l : in.layers) {
    const double share = in.macs ? static_cast<double>(l.macs) / static_cast<double>(in.macs) : 0;
    rows.push_back({printable(l.name, 60), printable(l.type, 40), std::to_string(l.weights),
                    human_count(static_cast<double>(l.macs)), percent(share, 1),
                    l.reason.empty() ? "yes" : "no: " + printable(l.reason)});
  }
  for (const StoredSite& s : in.stored) {
    rows.push_back({printable(s.name, 60), printable(s.type, 40), std::to_string(s.weights), "-",
                    "-",
                    s.reason.empty() ? "as stored: " + printable(s.float_input)
                                     : "no: " + printable(s.reason)});
  }
  if (rows.size() > 1) text += "\n" + format_table(rows);
  Reasons reasons;
  for (const NodeSite& node : in.nodes) {
    if (!node.reason.empty()) reasons.emplace_back(node.name, node.reason);
  }
  const std::string others = reasons_text(
      cat("without weights, in float (", reasons.size(), " of ", in.nodes.size(), " nodes)"),
      reasons);
  return text + (others.empty() ? "" : "\n" + others);
}

}  // namespace qtool
