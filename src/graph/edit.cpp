#include <algorithm>

#include "graph/names.hpp"
#include "graph/subgraphs.hpp"

namespace qtool {
namespace {

// Values that the graph's outputs need, and the nodes that make them; nodes are in order.
struct Needed {
  std::vector<bool> values, nodes;
};

Needed needed_by_outputs(const Graph& graph, const Uses& uses) {
  Needed needed{std::vector<bool>(graph.values.size()), std::vector<bool>(graph.nodes.size())};
  // What a node reads, captures of its subgraphs included, by value lists turned around.
  std::vector<std::vector<ValueId>> reads(graph.nodes.size());
  for (size_t v = 0; v < uses.consumers.size(); ++v) {
    for (const int32_t node : uses.consumers[v])
      reads[static_cast<size_t>(node)].push_back(ValueId(v));
  }
  std::vector<ValueId> open = graph.outputs;
  while (!open.empty()) {
    const ValueId id = open.back();
    open.pop_back();
    if (id == ValueId::kNone || needed.values[index(id)]) continue;
    needed.values[index(id)] = true;
    const int32_t producer = uses.producer[index(id)];
    if (producer < 0 || needed.nodes[static_cast<size_t>(producer)]) continue;
    needed.nodes[static_cast<size_t>(producer)] = true;
    const auto& inputs = reads[static_cast<size_t>(producer)];
    open.insert(open.end(), inputs.begin(), inputs.end());
  }
  return needed;
}

ValueId end_of_chain(const std::map<ValueId, ValueId>& becomes, ValueId id) {
  for (size_t steps = 0; steps <= becomes.size(); ++steps) {
    const auto next = becomes.find(id);
    if (next == becomes.end() || next->second == id) return id;
    id = next->second;
  }
  throw_internal("replace_uses: values become each other");
}

}  // namespace

ValueId add_value(Graph& graph, std::string name, DType dtype, std::optional<Shape> shape) {
  Value value;
  value.name = unique_value_name(graph, std::move(name));
  value.dtype = dtype;
  value.shape = std::move(shape);
  const auto id = ValueId(graph.values.size());
  graph.values.push_back(std::move(value));
  return id;
}

ValueId add_initializer(Graph& graph, std::string name, Tensor data) {
  const ValueId id = add_value(graph, std::move(name), data.dtype(), data.shape());
  graph.initializers[id] = {std::move(data), ""};
  return id;
}

void rename_value(Graph& graph, ValueId id, std::string name) {
  const std::string before = graph.value(id).name;
  if (name == before) return;
  name = unique_value_name(graph, std::move(name));
  graph.names.values.erase(before);
  graph.names.values.emplace(name, id);
  graph.value(id).name = name;
  for (Node& node : graph.nodes) rename_captures(node, before, name);
}

void replace_uses(Graph& graph, ValueId from, ValueId to, OutputUses outputs) {
  if (from != to) replace_uses(graph, {{from, to}}, outputs);
}

void replace_uses(Graph& graph, const std::map<ValueId, ValueId>& becomes, OutputUses outputs) {
  std::map<ValueId, ValueId> last;
  std::unordered_map<std::string, ValueId> by_name;
  for (const auto& [from, to] : becomes) {
    last[from] = end_of_chain(becomes, from);
    by_name.emplace(graph.value(from).name, from);
  }
  const auto replace = [&](std::vector<ValueId>& ids) {
    for (ValueId& id : ids) {
      if (const auto found = last.find(id); found != last.end()) id = found->second;
    }
  };
  for (Node& node : graph.nodes) {
    replace(node.inputs);
    for (const std::string& name : captured_names(node)) {
      const auto from = by_name.find(name);
      if (from != by_name.end())
        rename_captures(node, name, graph.value(last.at(from->second)).name);
    }
  }
  if (outputs == OutputUses::kReplace) replace(graph.outputs);
}

Node make_node(Graph& graph, std::string name, std::string type, std::vector<ValueId> inputs,
               std::vector<ValueId> outputs, std::vector<Attribute> attributes) {
  Node node;
  node.name = unique_node_name(graph, std::move(name));
  node.type = std::move(type);
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  node.attributes = std::move(attributes);
  return node;
}

void remove_nodes(Graph& graph, const std::vector<int32_t>& indices) {
  if (indices.empty()) return;
  std::vector<bool> gone(graph.nodes.size());
  for (const int32_t i : indices) gone.at(static_cast<size_t>(i)) = true;
  size_t kept = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (gone[i]) continue;
    if (kept != i) graph.nodes[kept] = std::move(graph.nodes[i]);
    ++kept;
  }
  graph.nodes.resize(kept);
  forget_node_names(graph);
}

int remove_dead(Graph& graph) {
  const Uses uses = uses_of(graph);
  Needed needed = needed_by_outputs(graph, uses);
  std::vector<int32_t> dead;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!needed.nodes[i]) {
      dead.push_back(static_cast<int32_t>(i));
      continue;
    }
    // An output nobody reads stays where others of its node are read.
    for (const ValueId id : graph.nodes[i].outputs) {
      if (id != ValueId::kNone) needed.values[index(id)] = true;
    }
  }
  remove_nodes(graph, dead);
  for (const ValueId id : graph.inputs) needed.values[index(id)] = true;
  std::erase_if(graph.initializers,
                [&](const auto& entry) { return !needed.values[index(entry.first)]; });
  std::erase_if(graph.captures, [&](ValueId id) { return !needed.values[index(id)]; });
  for (size_t i = 0; i < graph.values.size(); ++i) {
    if (!needed.values[i]) graph.values[i].declared = false;
  }
  return static_cast<int>(dead.size());
}

}  // namespace qtool
