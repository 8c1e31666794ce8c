#include <algorithm>

#include "graph/subgraphs.hpp"

namespace qtool {
namespace {

using SharedGraph = std::shared_ptr<const Graph>;

const Tensor* constant_around(const Graph& around, const std::string& name) {
  const ValueId outer = around.find(name);
  return outer == ValueId::kNone ? nullptr : around.constant(outer);
}

}  // namespace

bool is_capture(const Graph& body, ValueId id) {
  return std::find(body.captures.begin(), body.captures.end(), id) != body.captures.end();
}

ValueId capture(Graph& body, const Value& outer) {
  const ValueId local = body.find(outer.name);
  if (local != ValueId::kNone && is_capture(body, local)) return local;
  if (local != ValueId::kNone) rename_value(body, local, outer.name + "_inner");
  Value inner;
  inner.name = outer.name;
  inner.dtype = outer.dtype;
  inner.shape = outer.shape;
  body.values.push_back(std::move(inner));
  body.captures.push_back(static_cast<ValueId>(body.values.size() - 1));
  return body.captures.back();
}

Model body_model(const Model& around, const Graph& body) {
  Model inner;
  inner.graph = body;
  inner.ir_version = around.ir_version;
  inner.opsets = around.opsets;
  Graph& g = inner.graph;
  g.captures.clear();
  for (const ValueId id : body.captures) {
    const Value& outer = around.graph.value(around.graph.find(body.value(id).name));
    if (const Tensor* constant = constant_around(around.graph, outer.name))
      g.initializers[id].data = *constant;
    else
      g.inputs.push_back(id);
    if (g.value(id).dtype != DType::kUndefined) continue;
    g.value(id).dtype = outer.dtype;
    g.value(id).shape = outer.shape;
    g.value(id).symbols = outer.symbols;
  }
  return inner;
}

Graph body_of(Model inner, const Model& around, size_t inputs) {
  Graph& g = inner.graph;
  g.captures.assign(g.inputs.begin() + static_cast<std::ptrdiff_t>(inputs), g.inputs.end());
  g.inputs.resize(inputs);
  std::vector<ValueId> changed;
  for (auto at = g.initializers.begin(); at != g.initializers.end();) {
    const Tensor* constant = constant_around(around.graph, g.value(at->first).name);
    if (constant && constant->shares_bytes_with(at->second.data)) {
      g.captures.push_back(at->first);
      at = g.initializers.erase(at);
      continue;
    }
    if (constant) changed.push_back(at->first);
    ++at;
  }
  // A constant that is no longer the one around must not hide it.
  for (const ValueId id : changed) rename_value(g, id, g.value(id).name + "_inner");
  const Uses uses = uses_of(g);
  std::erase_if(g.captures, [&](ValueId id) {
    return uses.consumers[index(id)].empty() && !uses.is_output[index(id)];
  });
  return std::move(g);
}

void change_bodies(Model& model, const std::function<void(Model& body, const Node& of)>& change) {
  for (Node& node : model.graph.nodes) {
    const auto apply = [&](SharedGraph& shared) {
      if (!shared) return;
      Model inner = body_model(model, *shared);
      change(inner, node);
      shared =
          std::make_shared<const Graph>(body_of(std::move(inner), model, shared->inputs.size()));
    };
    for (Attribute& attribute : node.attributes) {
      if (auto* const one = std::get_if<SharedGraph>(&attribute.value)) apply(*one);
      if (auto* const many = std::get_if<std::vector<SharedGraph>>(&attribute.value))
        for (SharedGraph& graph : *many) apply(graph);
    }
  }
}

void visit_bodies(const Model& model,
                  const std::function<void(const Model& body, const Node& of)>& visit) {
  for (const Node& node : model.graph.nodes) {
    for (const Graph* const graph : subgraphs_of(node)) visit(body_model(model, *graph), node);
  }
}

}  // namespace qtool
