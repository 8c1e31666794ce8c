#include <algorithm>
#include <set>

#include "graph/subgraphs.hpp"
#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {
namespace {

using SharedGraph = std::shared_ptr<const Graph>;

// Rewrites the bodies of the graph's nodes, those of outer graphs first.
template <typename Rewrite>
void for_each_body(Graph& graph, const Rewrite& rewrite) {
  for (Node& node : graph.nodes) {
    const auto apply = [&](SharedGraph& shared) {
      if (!shared) return;
      auto body = std::make_shared<Graph>(*shared);
      rewrite(*body, node);
      shared = std::move(body);
    };
    for (Attribute& attribute : node.attributes) {
      if (auto* const one = std::get_if<SharedGraph>(&attribute.value)) apply(*one);
      if (auto* const many = std::get_if<std::vector<SharedGraph>>(&attribute.value))
        for (SharedGraph& body : *many) apply(body);
    }
  }
}

class Namer {
 public:
  void run(Graph& graph) {
    for (const Value& value : graph.values) values_.insert(value.name);
    for (const Node& node : graph.nodes) nodes_.insert(node.name);
    bodies(graph);
  }

 private:
  void bodies(Graph& graph) {
    for_each_body(graph, [&](Graph& body, const Node& of) {
      for (size_t v = 0; v < body.values.size(); ++v) {
        const auto id = static_cast<ValueId>(v);
        if (!is_capture(body, id))
          rename_value(body, id, unique(values_, of.name, body.value(id).name));
      }
      for (Node& node : body.nodes) node.name = unique(nodes_, of.name, node.name);
      body.names = {};
      bodies(body);
    });
  }

  static std::string unique(std::set<std::string>& taken, const std::string& path,
                            const std::string& name) {
    std::string found = name.starts_with(path + "/") ? name : cat(path, "/", name);
    while (!taken.insert(found).second) found += "'";
    return found;
  }

  std::set<std::string> values_, nodes_;
};

class Taker {
 public:
  explicit Taker(const Model& model) : model_(model) {}

  void bodies(Graph& graph) {
    around_.push_back(&graph);
    for_each_body(graph, [&](Graph& body, const Node&) {
      take_in(body);
      bodies(body);
    });
    around_.pop_back();
  }

 private:
  void take_in(Graph& g) const {
    std::set<ValueId> read;
    for (const Node& node : g.nodes) {
      const OpDef* op = find_op(node.type, node.domain, model_.opset(node.domain));
      if (!op || op->quant.kind == QuantKind::kNone) continue;
      for (const ValueId v : node.inputs)
        if (v != ValueId::kNone && is_capture(g, v)) read.insert(v);
    }
    for (const ValueId v : read) {
      const DType type = g.value(v).dtype;
      if (is_constant(g.value(v).name) || (type != DType::kFloat && type != DType::kUndefined))
        continue;
      const ValueId own = add_value(g, g.value(v).name + "_in", type, g.value(v).shape);
      g.value(own).symbols = g.value(v).symbols;
      replace_uses(g, v, own, OutputUses::kKeep);
      g.nodes.insert(g.nodes.begin(), make_node(g, g.value(own).name, "Identity", {v}, {own}));
    }
  }

  bool is_constant(const std::string& captured) const {
    return std::ranges::any_of(around_, [&](const Graph* g) {
      const ValueId v = g->find(captured);
      return v != ValueId::kNone && g->constant(v);
    });
  }

  const Model& model_;
  std::vector<const Graph*> around_;  // the body that is looked at, from the outermost on
};

}  // namespace

void take_in_captures(Model& model) { Taker(model).bodies(model.graph); }
void name_bodies(Model& model) { Namer().run(model.graph); }

}  // namespace qtool::passes
