#include "graph/subgraphs.hpp"

#include <algorithm>
#include <unordered_set>

namespace qtool {
namespace {

using SharedGraph = std::shared_ptr<const Graph>;

template <typename Fn>
void for_each_shared(Node& node, Fn fn) {
  for (Attribute& attribute : node.attributes) {
    if (auto* const one = std::get_if<SharedGraph>(&attribute.value)) fn(*one);
    if (auto* const many = std::get_if<std::vector<SharedGraph>>(&attribute.value)) {
      for (SharedGraph& graph : *many) fn(graph);
    }
  }
}

ValueId capture_named(const Graph& graph, const std::string& name) {
  for (const ValueId id : graph.captures) {
    if (graph.value(id).name == name) return id;
  }
  return ValueId::kNone;
}

void rename_capture(Graph& graph, const std::string& from, const std::string& to) {
  const ValueId id = capture_named(graph, from);
  const ValueId same = capture_named(graph, to);
  if (same != ValueId::kNone) {
    replace_uses(graph, id, same);
    std::erase(graph.captures, id);
    return;
  }
  const ValueId local = graph.find(to);
  if (local != ValueId::kNone) rename_value(graph, local, to + "_inner");
  rename_value(graph, id, to);
}

}  // namespace

std::vector<const Graph*> subgraphs_of(const Node& node) {
  std::vector<const Graph*> graphs;
  for (const Attribute& attribute : node.attributes) {
    if (const auto* const one = std::get_if<SharedGraph>(&attribute.value))
      graphs.push_back(one->get());
    if (const auto* const many = std::get_if<std::vector<SharedGraph>>(&attribute.value)) {
      for (const SharedGraph& graph : *many) graphs.push_back(graph.get());
    }
  }
  std::erase(graphs, nullptr);
  return graphs;
}

const Node* find_node(const Graph& graph, std::string_view name) {
  for (const Node& node : graph.nodes)
    if (node.name == name) return &node;
  for (const Node& node : graph.nodes) {
    for (const Graph* const body : subgraphs_of(node))
      if (const Node* const found = find_node(*body, name)) return found;
  }
  return nullptr;
}

std::vector<std::string> captured_names(const Node& node) {
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  for (const Graph* const graph : subgraphs_of(node)) {
    for (const ValueId id : graph->captures) {
      const std::string& name = graph->value(id).name;
      if (seen.insert(name).second) names.push_back(name);
    }
  }
  return names;
}

void rename_captures(Node& node, const std::string& from, const std::string& to) {
  for_each_shared(node, [&](SharedGraph& shared) {
    if (!shared || capture_named(*shared, from) == ValueId::kNone) return;
    auto copy = std::make_shared<Graph>(*shared);
    rename_capture(*copy, from, to);
    shared = std::move(copy);
  });
}

}  // namespace qtool
