#include "plan/stored_sites.hpp"

#include <algorithm>

#include "graph/subgraphs.hpp"

namespace qtool::plan {
namespace {

// Codes and a scale of four bytes must be clearly smaller than the row.
constexpr int64_t kShortestRow = 16;

class Finder {
 public:
  Finder(const Model& model, const std::vector<LayerSite>& layers) : model_(model) {
    for (const LayerSite& site : layers) names_.insert(site.name);
  }

  std::vector<StoredSite> run() {
    const Graph& g = model_.graph;
    for (const Node& node : g.nodes) {
      visit(g, node, node);
      bodies(node, node);
    }
    return std::move(sites_);
  }

 private:
  void bodies(const Node& node, const Node& holder) {
    for (const Graph* body : subgraphs_of(node)) {
      for (const Node& inner : body->nodes) {
        visit(*body, inner, holder);
        bodies(inner, holder);
      }
    }
  }

  // `graph` is the main graph or a body.
  void visit(const Graph& graph, const Node& node, const Node& holder) {
    const OpDef* op = find_op(node.type, node.domain, model_.opset(node.domain));
    if (!op) return;
    const QuantRule& rule = op->quant;
    for (const StoredInput& input : rule.stored) {
      if (input.slot < 0 || (rule.picks_rows && !picks_rows(graph, node, rule))) continue;
      StoredSite site;
      site.name = input.name.empty() ? node.name : cat(node.name, "/", input.name);
      site.picks_rows = rule.picks_rows && &graph == &model_.graph;
      site.channel_axis = rule.stored_axis;
      site.float_input =
          rule.picks_rows ? "its rows are picked, not multiplied" : std::string(rule.reason);
      add(graph, node, input.slot, holder, std::move(site));
    }
  }

  bool picks_rows(const Graph& graph, const Node& node, const QuantRule& rule) const {
    const Tensor* table = constant(graph, node, rule.stored[0].slot);
    return table && table->rank() == 2 && table->dim(1) >= kShortestRow &&
           attr_int(node, "axis", 0) == 0;
  }

  // A constant of the main graph that the node reads, itself or from outside of its body.
  const Tensor* constant(const Graph& graph, const Node& node, int slot) const {
    const ValueId v = static_cast<size_t>(slot) < node.inputs.size()
                          ? node.inputs[static_cast<size_t>(slot)]
                          : ValueId::kNone;
    if (v == ValueId::kNone) return nullptr;
    if (&graph == &model_.graph) return graph.constant(v);
    if (std::find(graph.captures.begin(), graph.captures.end(), v) == graph.captures.end())
      return nullptr;
    const ValueId outer = model_.graph.find(graph.value(v).name);
    return outer == ValueId::kNone ? nullptr : model_.graph.constant(outer);
  }

  void add(const Graph& graph, const Node& node, int slot, const Node& holder, StoredSite site) {
    const Tensor* weight = constant(graph, node, slot);
    if (!site.picks_rows)
      site.cost = "its weight would be made real at every run, which takes time";
    while (!names_.insert(site.name).second) site.name += "'";
    site.type = node.type;
    site.node = holder.name;
    site.weight = graph.value(node.inputs[static_cast<size_t>(slot)]).name;
    site.weights = weight ? weight->size() : 0;
    if (weight && site.channel_axis < 0) site.channel_axis += weight->rank();
    if (!weight) {
      site.reason = "its weight is no constant";
    } else if (weight->size() == 0) {
      site.reason = "its weight is empty";
    } else if (weight->dtype() != DType::kFloat) {
      site.reason = cat("its weight is ", dtype_name(weight->dtype()), ", not float32");
    } else if (weight->rank() < 2) {
      site.reason = "its weight is a vector";
    } else {
      check_finite(node, *weight, site.weight);
      site.channels = weight->dim(site.channel_axis);
      site.dense = site.channel_axis == weight->rank() - 1 || weight->rank() == 2;
      site.matrix = weight->rank() == 2;
    }
    sites_.push_back(std::move(site));
  }

  static void check_finite(const Node& node, const Tensor& weight, const std::string& name) {
    const auto data = weight.data<float>();
    if (std::all_of(data.begin(), data.end(), [](float w) { return w - w == 0; })) return;
    throw_model("QT-E350",
                cat(node_text(node), ": its weight '", printable(name), "' holds NaN or infinity"));
  }

  const Model& model_;
  std::set<std::string> names_;
  std::vector<StoredSite> sites_;
};

}  // namespace

std::vector<StoredSite> find_stored(const Model& model, const std::vector<LayerSite>& layers) {
  return Finder(model, layers).run();
}

}  // namespace qtool::plan
