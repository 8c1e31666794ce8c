#include "quantize/fit/layer_surroundings.hpp"

#include <algorithm>
#include <limits>

#include "qtool/ops.hpp"

namespace qtool::qdq {

Operand added_behind(const Model& model, const Uses& uses, const Node& layer) {
  const Graph& g = model.graph;
  const auto at = [&](const Node& node) { return &node - g.nodes.data(); };
  for (ValueId v = layer.outputs[0];;) {
    const auto& consumers = uses.consumers[index(v)];
    if (consumers.size() != 1 || uses.is_output[index(v)]) return {};
    const Node& next = g.nodes[static_cast<size_t>(consumers[0])];
    const OpDef* op = find_op(next.type, next.domain, model.opset(next.domain));
    if (!op || !op->quant.sum) return {};
    const Operand other{&next, next.inputs[0] == v ? 1u : 0u};
    if (g.constant(other.value())) {  // a bias: the sum is still the layer's
      v = next.outputs[0];
      continue;
    }
    const auto &mine = g.value(v).shape, &its = g.value(other.value()).shape;
    if (other.value() == v || !mine || !its || *mine != *its) return {};
    const int32_t producer = uses.producer[index(other.value())];
    return producer < at(layer) ? other : Operand{};
  }
}

std::string same_operand(const Model& quantized, const Uses& uses, const Operand& operand,
                         const Node& layer) {
  const Graph& g = quantized.graph;
  const auto node = std::find_if(g.nodes.begin(), g.nodes.end(),
                                 [&](const Node& n) { return n.name == operand.node->name; });
  const ValueId value = node->inputs[operand.slot];
  return uses.producer[index(value)] < &layer - g.nodes.data() ? g.value(value).name : "";
}

std::optional<std::pair<double, double>> active_range(const Model& model, const Uses& uses,
                                                      const Node& layer) {
  const Graph& g = model.graph;
  const ValueId v = layer.outputs[0];
  const auto& consumers = uses.consumers[index(v)];
  if (consumers.size() != 1 || uses.is_output[index(v)]) return {};
  const Node& next = g.nodes[static_cast<size_t>(consumers[0])];
  const OpDef* op = find_op(next.type, next.domain, model.opset(next.domain));
  if (!op || next.inputs[0] != v) return {};
  if (op->quant.sensitive) return op->quant.sensitive(next);
  if (!op->quant.bounded) return {};
  std::pair<double, double> range = {-std::numeric_limits<double>::infinity(),
                                     std::numeric_limits<double>::infinity()};
  for (size_t i = 1; i < next.inputs.size(); ++i) {
    if (next.inputs[i] == ValueId::kNone) continue;
    const Tensor* bound = g.constant(next.inputs[i]);
    if (!bound || bound->size() != 1) return {};
    (i == 1 ? range.first : range.second) = bound->number(0);
  }
  return range;
}

}  // namespace qtool::qdq
