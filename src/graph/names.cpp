#include "graph/names.hpp"

#include <algorithm>

#include "graph/subgraphs.hpp"

namespace qtool {
namespace {

void add_inner_names(const Graph& outer, NameIndex& names) {
  for (const Node& node : outer.nodes) {
    for (const Graph* const graph : subgraphs_of(node)) {
      for (const Value& value : graph->values) names.values.try_emplace(value.name, ValueId::kNone);
      add_inner_names(*graph, names);
    }
  }
}

void catch_up_values(Graph& graph) {
  NameIndex& names = graph.names;
  if (names.values_seen > graph.values.size()) names = {};
  const bool first = names.values_seen == 0;
  for (; names.values_seen < graph.values.size(); ++names.values_seen) {
    names.values.insert_or_assign(graph.values[names.values_seen].name, ValueId(names.values_seen));
  }
  // A name of a subgraph's own value must not come to mean a value around it.
  if (first) add_inner_names(graph, names);
}

void catch_up_nodes(Graph& graph) {
  NameIndex& names = graph.names;
  if (names.nodes_seen > graph.nodes.size()) forget_node_names(graph);
  for (; names.nodes_seen < graph.nodes.size(); ++names.nodes_seen) {
    names.nodes.insert(graph.nodes[names.nodes_seen].name);
  }
}

template <typename IsTaken>
std::string with_suffix(NameIndex& names, std::string name, const IsTaken& is_taken) {
  if (name.empty()) name = "unnamed";
  if (!is_taken(name)) return name;
  int64_t& suffix = names.suffixes[name];
  while (true) {
    std::string candidate = name + "_" + std::to_string(++suffix);
    if (!is_taken(candidate)) return candidate;
  }
}

}  // namespace

ValueId Graph::find(std::string_view value_name) const {
  const auto found = names.values.find(std::string(value_name));
  if (found != names.values.end() && found->second != ValueId::kNone &&
      index(found->second) < values.size() && value(found->second).name == value_name) {
    return found->second;
  }
  for (size_t i = std::min(names.values_seen, values.size()); i < values.size(); ++i) {
    if (values[i].name == value_name) return ValueId(i);
  }
  return ValueId::kNone;
}

std::string unique_value_name(Graph& graph, std::string name) {
  catch_up_values(graph);
  return with_suffix(graph.names, std::move(name),
                     [&](const std::string& n) { return graph.names.values.contains(n); });
}

std::string unique_node_name(Graph& graph, std::string name) {
  catch_up_nodes(graph);
  name = with_suffix(graph.names, std::move(name),
                     [&](const std::string& n) { return graph.names.nodes.contains(n); });
  graph.names.nodes.insert(name);
  return name;
}

void forget_node_names(Graph& graph) {
  graph.names.nodes.clear();
  graph.names.nodes_seen = 0;
}

}  // namespace qtool
