#include <algorithm>

#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {

int32_t sole_consumer(const Uses& uses, ValueId value) {
  const auto& consumers = uses.consumers[index(value)];
  return consumers.size() == 1 && !uses.is_output[index(value)] ? consumers[0] : -1;
}

void drop_initializer_inputs(Model& model) {
  Graph& g = model.graph;
  std::erase_if(g.inputs, [&](ValueId v) { return g.initializers.contains(v); });
  model.ir_version = std::max<int64_t>(model.ir_version, 4);  // IR 3 wants them listed
}

void constants_to_initializers(Model& model) {
  Graph& g = model.graph;
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    if (!is(node, "Constant") || find_attribute(node, "sparse_value")) continue;
    g.initializers[node.outputs[0]].data = std::move(eval_node(node, model.opset(), {})[0]);
    gone.push_back(static_cast<int32_t>(i));
  }
  remove_nodes(g, gone);
}

void remove_identities(Model& model) {
  Graph& g = model.graph;
  const Uses uses = uses_of(g);
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    const bool dropout = is(node, "Dropout") &&
                         (node.inputs.size() < 3 || node.inputs[2] == ValueId::kNone) &&
                         (node.outputs.size() < 2 || node.outputs[1] == ValueId::kNone ||
                          uses.consumers[index(node.outputs[1])].empty());
    if (!is(node, "Identity") && !dropout) continue;
    // A graph output keeps its name, so the node that makes it stays.
    if (uses.is_output[index(node.outputs[0])]) continue;
    replace_uses(g, node.outputs[0], node.inputs[0]);
    gone.push_back(static_cast<int32_t>(i));
  }
  remove_nodes(g, gone);
}

void fold_constants(Model& model, Dequantized dequantized) {
  Graph& g = model.graph;
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    const OpDef* op = find_op(node.type, node.domain, model.opset(node.domain));
    if (!op || !op->deterministic || node.inputs.empty() || !captured_names(node).empty()) continue;
    if (is(node, "DequantizeLinear") && dequantized == Dequantized::kKeep) continue;
    const bool all = std::all_of(node.inputs.begin(), node.inputs.end(),
                                 [&](ValueId v) { return v == ValueId::kNone || g.constant(v); });
    const bool has_graph =
        std::any_of(node.attributes.begin(), node.attributes.end(), [](const Attribute& a) {
          return std::holds_alternative<std::shared_ptr<const Graph>>(a.value);
        });
    if (!all || has_graph) continue;
    std::vector<Tensor> inputs;
    for (ValueId v : node.inputs) inputs.push_back(v == ValueId::kNone ? Tensor() : *g.constant(v));
    std::vector<Tensor> results = eval_node(node, model.opset(node.domain), inputs);
    for (size_t k = 0; k < node.outputs.size() && k < results.size(); ++k) {
      if (node.outputs[k] != ValueId::kNone)
        g.initializers[node.outputs[k]].data = std::move(results[k]);
    }
    gone.push_back(static_cast<int32_t>(i));
  }
  remove_nodes(g, gone);
}

}  // namespace qtool::passes
