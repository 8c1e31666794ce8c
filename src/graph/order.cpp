#include <algorithm>
#include <functional>
#include <queue>

#include "graph/names.hpp"
#include "graph/subgraphs.hpp"

namespace qtool {
namespace {

// A node that needs its own result, where `waits_for` counts what each node still waits for.
const Node& node_of_cycle(const Graph& graph, const Uses& uses,
                          const std::vector<int32_t>& waits_for) {
  std::vector<int32_t> waits_on(graph.nodes.size(), -1);  // one of the unfinished nodes it reads
  for (size_t v = 0; v < uses.producer.size(); ++v) {
    const int32_t producer = uses.producer[v];
    if (producer < 0 || waits_for[static_cast<size_t>(producer)] == 0) continue;
    for (const int32_t user : uses.consumers[v]) waits_on[static_cast<size_t>(user)] = producer;
  }
  const auto stuck =
      std::find_if(waits_for.begin(), waits_for.end(), [](int32_t n) { return n > 0; });
  auto n = static_cast<size_t>(stuck - waits_for.begin());
  std::vector<bool> seen(graph.nodes.size());
  for (; !seen[n]; n = static_cast<size_t>(waits_on[n])) seen[n] = true;
  return graph.nodes[n];
}

}  // namespace

Uses uses_of(const Graph& graph) {
  Uses uses;
  uses.producer.assign(graph.values.size(), -1);
  uses.consumers.resize(graph.values.size());
  uses.is_output.resize(graph.values.size());
  std::unordered_map<std::string_view, ValueId> by_name;  // filled when a subgraph asks
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const auto number = static_cast<int32_t>(n);
    for (const ValueId id : node.inputs) {
      if (id != ValueId::kNone) uses.consumers[index(id)].push_back(number);
    }
    for (const ValueId id : node.outputs) {
      if (id != ValueId::kNone) uses.producer[index(id)] = number;
    }
    if (subgraphs_of(node).empty()) continue;
    if (by_name.empty()) {
      for (size_t v = 0; v < graph.values.size(); ++v)
        by_name.emplace(graph.values[v].name, ValueId(v));
    }
    for (const std::string& name : captured_names(node)) {
      const auto found = by_name.find(name);
      if (found != by_name.end()) uses.consumers[index(found->second)].push_back(number);
    }
  }
  for (const ValueId id : graph.outputs) uses.is_output[index(id)] = true;
  return uses;
}

void sort_nodes(Graph& graph) {
  const Uses uses = uses_of(graph);
  std::vector<int32_t> waits_for(graph.nodes.size(), 0);
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (uses.producer[v] < 0) continue;
    for (const int32_t user : uses.consumers[v]) ++waits_for[static_cast<size_t>(user)];
  }
  // The smallest index first keeps the old order wherever it is possible.
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> ready;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (waits_for[n] == 0) ready.push(static_cast<int32_t>(n));
  }
  std::vector<int32_t> order;
  order.reserve(graph.nodes.size());
  while (!ready.empty()) {
    const int32_t n = ready.top();
    ready.pop();
    order.push_back(n);
    for (const ValueId id : graph.nodes[static_cast<size_t>(n)].outputs) {
      if (id == ValueId::kNone) continue;
      for (const int32_t user : uses.consumers[index(id)]) {
        if (--waits_for[static_cast<size_t>(user)] == 0) ready.push(user);
      }
    }
  }
  if (order.size() < graph.nodes.size()) {
    const Node& node = node_of_cycle(graph, uses, waits_for);
    throw_model("QT-E330",
                cat("the graph has a cycle: ", node_text(node), " needs its own result"));
  }
  if (std::is_sorted(order.begin(), order.end())) return;
  std::vector<Node> sorted;
  sorted.reserve(order.size());
  for (const int32_t n : order) sorted.push_back(std::move(graph.nodes[static_cast<size_t>(n)]));
  graph.nodes = std::move(sorted);
  forget_node_names(graph);
}

}  // namespace qtool
