#include <algorithm>

#include "passes/passes.hpp"
#include "qtool/output_types.hpp"

namespace qtool::passes {
namespace {

using SharedGraph = std::shared_ptr<const Graph>;

bool is_half(DType type) { return type == DType::kFloat16 || type == DType::kBfloat16; }

// Attributes that hold element types.
bool names_type(const Attribute& attribute) {
  return attribute.name == "to" || attribute.name == "dtype" || attribute.name == "output_dtype";
}

Graph widened(Graph g);

void widen(Attribute& attribute) {
  if (auto* tensor = std::get_if<Tensor>(&attribute.value)) {
    if (is_half(tensor->dtype())) *tensor = cast(*tensor, DType::kFloat);
  } else if (auto* number = std::get_if<int64_t>(&attribute.value)) {
    if (names_type(attribute) && *number > 0 && *number < 64 &&
        is_half(static_cast<DType>(*number)))
      *number = static_cast<int64_t>(DType::kFloat);
  } else if (auto* body = std::get_if<SharedGraph>(&attribute.value)) {
    if (*body) *body = std::make_shared<const Graph>(widened(**body));
  }
}

// Everything in the graph; its inputs and outputs, too.
Graph widened(Graph g) {
  for (Value& value : g.values)
    if (is_half(value.dtype)) value.dtype = DType::kFloat;
  for (auto& [id, initializer] : g.initializers) {
    if (is_half(initializer.data.dtype())) initializer.data = cast(initializer.data, DType::kFloat);
  }
  for (Node& node : g.nodes)
    for (Attribute& attribute : node.attributes) widen(attribute);
  return g;
}

void append_cast(Graph& g, ValueId from, ValueId to, DType type) {
  g.nodes.push_back(make_node(g, g.value(to).name + "_Cast", "Cast", {from}, {to}));
  set_attribute(g.nodes.back(), "to", static_cast<int64_t>(type));
}

bool holds_half(const Graph& g) {
  return std::ranges::any_of(g.values, [](const Value& v) { return is_half(v.dtype); }) ||
         std::ranges::any_of(g.initializers,
                             [](const auto& i) { return is_half(i.second.data.dtype()); }) ||
         std::ranges::any_of(g.nodes, [](const Node& node) {
           return std::ranges::any_of(node.attributes, [](Attribute copy) {
             const auto* body = std::get_if<SharedGraph>(&copy.value);
             return body && *body && holds_half(**body);
           });
         });
}

}  // namespace

void widen_floats(Model& model) {
  Graph& g = model.graph;
  if (!holds_half(g)) return;
  std::map<ValueId, DType> inputs;
  for (ValueId v : g.inputs)
    if (is_half(g.value(v).dtype)) inputs[v] = g.value(v).dtype;
  g = widened(std::move(g));
  for (const auto& [v, type] : inputs) {
    const ValueId wide = add_value(g, g.value(v).name + "_float", DType::kFloat, g.value(v).shape);
    replace_uses(g, v, wide, OutputUses::kKeep);
    g.value(v).dtype = type;
    append_cast(g, v, wide, DType::kFloat);
  }
  sort_nodes(g);
}

}  // namespace qtool::passes

namespace qtool {

using namespace passes;

OutputTypes output_types(const Model& model) {
  OutputTypes types;
  for (ValueId v : model.graph.outputs)
    types[model.graph.value(v).name] = model.graph.value(v).dtype;
  return types;
}

bool restore_output_types(Model& model, const OutputTypes& types) {
  Graph& g = model.graph;
  bool any = false;
  for (ValueId v : std::vector<ValueId>(g.outputs)) {
    const auto was = types.find(g.value(v).name);
    if (was == types.end() || !is_half(was->second) || g.value(v).dtype != DType::kFloat) continue;
    const ValueId wide = add_value(g, g.value(v).name + "_float", DType::kFloat, g.value(v).shape);
    replace_uses(g, v, wide, OutputUses::kKeep);
    for (Node& node : g.nodes) std::replace(node.outputs.begin(), node.outputs.end(), v, wide);
    if (auto constant = g.initializers.extract(v)) {
      constant.key() = wide;
      g.initializers.insert(std::move(constant));
    }
    g.value(v).dtype = was->second;
    append_cast(g, wide, v, was->second);
    any = true;
  }
  if (any) sort_nodes(g);
  return any;
}

}  // namespace qtool
