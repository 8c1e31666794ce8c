#include <algorithm>
#include <unordered_map>

#include "onnx/converter.hpp"
#include "onnx/external_data.hpp"
#include "onnx/graph_reader.hpp"
#include "onnx/writer.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

using namespace onnx_detail;

// Weights from this size on do not pass through the converter; what it reads (axes, shapes, scales)
// is smaller.
constexpr int64_t kStubBytes = 4096;

// --- names ------------------------------------------------------------------------------------
// The converter replaces some nodes by new ones without a name. The node that makes a value in the
// converted graph is the heir of the one that made it before.

std::string first_output(const Graph& graph, const Node& node) {
  for (const ValueId id : node.outputs)
    if (id != ValueId::kNone) return graph.value(id).name;
  return "";
}

using NodesByOutput = std::unordered_map<std::string, const Node*>;

NodesByOutput nodes_by_output(const Graph& graph) {
  NodesByOutput result;
  for (const Node& node : graph.nodes) result.emplace(first_output(graph, node), &node);
  return result;
}

const Graph* inner_graph(const Node& node, const std::string& attribute) {
  const Attribute* found = find_attribute(node, attribute);
  const auto* graph = found ? std::get_if<std::shared_ptr<const Graph>>(&found->value) : nullptr;
  return graph ? graph->get() : nullptr;
}

void restore_node_names(const Graph& before, onnx::GraphProto& after) {
  const NodesByOutput nodes = nodes_by_output(before);
  for (auto& proto : *after.mutable_node()) {
    const auto first = std::find_if(proto.output().begin(), proto.output().end(),
                                    [](const std::string& name) { return !name.empty(); });
    const auto found = first == proto.output().end() ? nodes.end() : nodes.find(*first);
    if (found == nodes.end()) continue;
    proto.set_name(found->second->name);
    for (auto& attribute : *proto.mutable_attribute())
      if (const Graph* inner = inner_graph(*found->second, attribute.name()))
        if (attribute.has_g()) restore_node_names(*inner, *attribute.mutable_g());
  }
}

// --- what the converter drops ---------------------------------------------------------------

void restore_graph(const Graph& before, Graph& after);

void restore_attributes(const Node& before, Node& after) {
  after.opaque = before.opaque;
  for (Attribute& attribute : after.attributes) {
    const Attribute* old = find_attribute(before, attribute.name);
    if (!old || old->value.index() != attribute.value.index()) continue;
    attribute.opaque = old->opaque;
    if (const Graph* inner = inner_graph(before, attribute.name)) {
      Graph restored = *std::get<std::shared_ptr<const Graph>>(attribute.value);
      restore_graph(*inner, restored);
      attribute.value = std::make_shared<const Graph>(std::move(restored));
    }
  }
}

void restore_graph(const Graph& before, Graph& after) {
  after.name = before.name;
  after.opaque = before.opaque;
  std::unordered_map<std::string, ValueId> ids;
  for (size_t i = 0; i < before.values.size(); ++i)
    ids.emplace(before.values[i].name, static_cast<ValueId>(i));
  for (size_t i = 0; i < after.values.size(); ++i) {
    Value& value = after.values[i];
    value.declared = false;
    const auto found = ids.find(value.name);
    if (found == ids.end()) continue;
    value = before.value(found->second);
    const auto now = after.initializers.find(static_cast<ValueId>(i));
    const auto old = before.initializers.find(found->second);
    if (now != after.initializers.end() && old != before.initializers.end())
      now->second.opaque = old->second.opaque;
  }
  const NodesByOutput nodes = nodes_by_output(before);
  for (Node& node : after.nodes) {
    const auto found = nodes.find(first_output(after, node));
    if (found != nodes.end()) restore_attributes(*found->second, node);
  }
}

// Before IR 4 every initializer must also be an input.
void list_initializers(Graph& graph) {
  for (const auto& [id, initializer] : graph.initializers)
    if (std::find(graph.inputs.begin(), graph.inputs.end(), id) == graph.inputs.end())
      graph.inputs.push_back(id);
}

}  // namespace

Model convert_opset(const Model& original, int64_t target) {
  const auto current = original.opsets.find("");
  if (current == original.opsets.end() || current->second == target) return original;
  // Bodies of functions are not converted, so they go where they are called.
  const Model model = inline_functions(original);
  TensorStubs stubs(kStubBytes);
  onnx::ModelProto proto = run_converter(write_model(model, {stubs.sink(), SparseWeights::kDense}),
                                         current->second, target);
  restore_node_names(model.graph, *proto.mutable_graph());
  Model result = model;
  result.opsets[""] = target;
  result.graph = read_graph(*proto.mutable_graph(), {stubs.source(), result.opsets});
  restore_graph(model.graph, result.graph);
  if (result.ir_version < 4) list_initializers(result.graph);
  return result;
}

}  // namespace qtool
