#include <algorithm>

#include "plan/body_sites.hpp"
#include "plan/node_parts.hpp"
#include "qtool/plan.hpp"

namespace qtool {
namespace {

using plan::NodePart;
using plan::op_of;
using plan::Part;

// Looks at every node by itself (find_parts), then at neighbours (find_regions), then names what it found.
class Finder {
 public:
  Finder(const Model& model, const Target& target, const std::set<std::string>& captured)
      : model_(model), g_(model.graph), target_(target), captured_(captured), uses_(uses_of(g_)) {
    for (size_t v = 0; v < g_.values.size(); ++v)
      behind_.push_back(behind_activation(static_cast<ValueId>(v)));
  }

  Sites run() {
    plan::NodeParts found = plan::find_parts(model_, target_, captured_, behind_);
    parts_ = std::move(found.parts);
    plan::find_moves(g_, uses_, parts_);
    sites_.layers = std::move(found.layers);
    const plan::Regions regions = plan::find_regions(g_, uses_, parts_, behind_);
    for (ValueId v : in_graph_order(regions.quantized)) activation(v, regions);
    for (size_t n = 0; n < g_.nodes.size(); ++n) node_site(n, regions);
    return std::move(sites_);
  }

 private:
  // The value behind a chain of Relu and Clip that alone read `v`.
  ValueId behind_activation(ValueId v) const {
    for (;;) {
      const auto& consumers = uses_.consumers[index(v)];
      if (consumers.size() != 1 || uses_.is_output[index(v)]) return v;
      const Node& next = g_.nodes[static_cast<size_t>(consumers[0])];
      const OpDef* op = op_of(model_, next);
      if (!op || op->quant.kind != QuantKind::kActivation || next.inputs[0] != v) return v;
      v = next.outputs[0];
    }
  }

  // Graph inputs first, then results in the order of their nodes: owners before those who share.
  std::vector<ValueId> in_graph_order(const std::set<ValueId>& values) const {
    std::vector<ValueId> order;
    for (ValueId v : g_.inputs)
      if (values.contains(v)) order.push_back(v);
    for (const Node& node : g_.nodes) {
      for (ValueId v : node.outputs)
        if (v != ValueId::kNone && values.contains(v)) order.push_back(v);
    }
    return order;
  }

  void activation(ValueId v, const plan::Regions& regions) {
    ActivationSite site;
    site.name = g_.value(v).name;
    const int32_t producer = uses_.producer[index(v)];
    site.network_input = producer < 0;
    if (auto it = regions.shares_with.find(v); it != regions.shares_with.end())
      site.shares_with = g_.value(it->second).name;
    if (auto it = regions.only_for.find(v); it != regions.only_for.end()) {
      for (int32_t r : it->second) site.readers.insert(g_.nodes[static_cast<size_t>(r)].name);
    }
    const OpDef* op =
        producer < 0 ? nullptr : op_of(model_, g_.nodes[static_cast<size_t>(producer)]);
    if (op && op->quant.lowest < op->quant.highest)
      site.fixed_range = {op->quant.lowest, op->quant.highest};
    if (!uses_.is_output[index(v)]) site.sensitive = sensitive_range(v);
    find_branches(v, regions, site);
    if (const std::optional<Shape> shape = plan::one_sample(g_, v))
      site.elements = element_count(*shape);
    sites_.activations.push_back(std::move(site));
  }

  void find_branches(ValueId v, const plan::Regions& regions, ActivationSite& site) const {
    site.branches = site.readers.empty() && uses_.is_output[index(v)];
    for (int32_t r : uses_.consumers[index(v)]) {
      const auto n = static_cast<size_t>(r);
      const std::string& name = g_.nodes[n].name;
      if (!site.readers.empty() && !site.readers.contains(name)) continue;
      const bool on_codes = regions.reasons[n].empty();
      if (on_codes && parts_[n].part == Part::kLayer)
        site.layers.insert(name);
      else if (!on_codes || parts_[n].part != Part::kMovement)
        site.branches = true;
    }
  }

  // The range that makes a difference to what reads the value.
  std::optional<std::pair<double, double>> sensitive_range(ValueId v) const {
    std::pair<double, double> range{0, 0};
    for (int32_t r : uses_.consumers[index(v)]) {
      const Node& reader = g_.nodes[static_cast<size_t>(r)];
      const OpDef* op = op_of(model_, reader);
      if (!op || !op->quant.sensitive) return std::nullopt;
      const auto [lo, hi] = op->quant.sensitive(reader);
      range = {std::min(range.first, lo), std::max(range.second, hi)};
    }
    return range;
  }

  void node_site(size_t n, const plan::Regions& regions) {
    const Node& node = g_.nodes[n];
    const OpDef* op = op_of(model_, node);
    const Part part = parts_[n].part;
    if (!op || part == Part::kLayer || part == Part::kWeights || only_integers(node) ||
        op->quant.kind == QuantKind::kActivation ||
        (op->quant.kind == QuantKind::kMovement && plan::takes_in(g_, node, captured_)))
      return;
    NodeSite site{node.name, node.type, regions.reasons[n]};
    if (part == Part::kFunction && !runs_function(node, *op, regions))
      site.reason = "no integer kernel on this target";
    sites_.nodes.push_back(std::move(site));
  }

  bool runs_function(const Node& node, const OpDef& op, const plan::Regions& regions) const {
    return target_.runs_on_codes(node, op.quant) && regions.quantized.contains(node.inputs[0]) &&
           regions.quantized.contains(node.outputs[0]);
  }

  // Shape arithmetic is no candidate for quantization and no news in a report.
  bool only_integers(const Node& node) const {
    return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return v == ValueId::kNone ||
             (g_.value(v).dtype != DType::kFloat && g_.value(v).dtype != DType::kUndefined);
    });
  }

  const Model& model_;
  const Graph& g_;
  const Target& target_;
  const std::set<std::string>& captured_;
  Uses uses_;
  std::vector<ValueId> behind_;
  std::vector<NodePart> parts_;
  Sites sites_;
};

}  // namespace

Sites plan::sites_of_graph(const Model& model, const Target& target,
                           const std::set<std::string>& captured) {
  return Finder(model, target, captured).run();
}

}  // namespace qtool
