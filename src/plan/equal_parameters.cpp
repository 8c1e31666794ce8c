// Values that a device wants to have equal parameters.
#include <algorithm>

#include "qtool/plan.hpp"

namespace qtool {
namespace {

// Whether results have the operands' parameters, too.
bool passes_on(const QuantRule& rule) {
  return rule.kind == QuantKind::kJoint || rule.kind == QuantKind::kMovement;
}

// Owners of the quantized values around a node.
std::set<std::string> owners_around(const Sites& sites, const Graph& g, const Node& node,
                                    const QuantRule& rule) {
  std::vector<ValueId> values = node.inputs;
  if (passes_on(rule)) values.insert(values.end(), node.outputs.begin(), node.outputs.end());
  std::set<std::string> owners;
  for (ValueId v : values) {
    const ActivationSite* site = v == ValueId::kNone ? nullptr : sites.activation(g.value(v).name);
    if (!site) continue;
    const ActivationSite& owner = *sites.activation(site->owner());
    if (owner.fixed_range) {
      log(LogLevel::kInfo, cat("'", printable(owner.name), "' keeps its known range beside ",
                               node_text(node), ", whose operands have equal parameters"));
    } else {
      owners.insert(owner.name);
    }
  }
  return owners;
}

}  // namespace

void check_shared_types(std::span<const std::string> types) {
  for (const std::string& type : types) {
    const auto ops = all_ops();
    const bool known = std::ranges::any_of(ops, [&](const OpDef* op) {
      return op->domain.empty() && op->type == type &&
             (passes_on(op->quant) || op->quant.kind == QuantKind::kBinary);
    });
    if (known) continue;
    throw Error(ErrorKind::kUsage, "QT-E119",
                cat("parameters cannot be equal around '", printable(type), "'"))
        .hint("Concat, Add, Mul and operators that move data can be named");
  }
}

void share_parameters(Sites& sites, const Model& model, std::span<const std::string> types) {
  if (types.empty()) return;
  std::map<std::string, size_t> place;
  for (size_t i = 0; i < sites.activations.size(); ++i) place[sites.activations[i].name] = i;
  for (const Node& node : model.graph.nodes) {
    if (std::ranges::find(types, node.type) == types.end()) continue;
    const OpDef* op = find_op(node.type, node.domain, model.opset(node.domain));
    if (!op) continue;
    const std::set<std::string> owners = owners_around(sites, model.graph, node, op->quant);
    if (owners.size() < 2) continue;
    // The first in the order of the graph: owners come before those who share.
    const std::string first = *std::ranges::min_element(
        owners, {}, [&](const std::string& name) { return place.at(name); });
    for (ActivationSite& site : sites.activations) {
      const std::string owner = site.owner();
      if (owner == first || !owners.contains(owner)) continue;
      if (owner == site.name) {
        std::vector<std::string>& covers = sites.activations[place.at(first)].covers;
        covers.push_back(site.name);
        covers.insert(covers.end(), site.covers.begin(), site.covers.end());
        site.covers.clear();
      }
      site.shares_with = first;
    }
  }
}

}  // namespace qtool
