// y = a·x + c per output channel, behind a layer with constant weights, becomes part of the layer.
#include <cmath>

#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {
namespace {

struct PerChannel {
  std::vector<double> factor, offset;
};

const Tensor* float_constant(const Graph& g, ValueId id, int64_t count) {
  const Tensor* t = constant(g, id);
  return t && t->dtype() == DType::kFloat && t->size() == count ? t : nullptr;
}

std::optional<PerChannel> batch_norm(const Graph& g, const Node& node, int64_t channels) {
  if (attr_int(node, "training_mode", 0) ||
      (node.outputs.size() > 1 && node.outputs[1] != ValueId::kNone))
    return std::nullopt;
  const Tensor* parts[4];
  for (size_t i = 0; i < 4; ++i) {
    if (node.inputs.size() < 5 || !(parts[i] = float_constant(g, node.inputs[i + 1], channels)))
      return std::nullopt;
  }
  const double epsilon = attr_float(node, "epsilon", 1e-5f);
  PerChannel p;
  for (int64_t c = 0; c < channels; ++c) {
    const size_t i = static_cast<size_t>(c);
    const double a = parts[0]->data<float>()[i] / std::sqrt(parts[3]->data<float>()[i] + epsilon);
    p.factor.push_back(a);
    p.offset.push_back(parts[1]->data<float>()[i] - a * parts[2]->data<float>()[i]);
  }
  return p;
}

// A constant that broadcasts along the channel axis of a result of rank `rank` (channels at axis 1,
// or last for Gemm): one value for all, or one per channel. Empty when it is anything else.
std::vector<double> per_channel(const Tensor& t, int64_t channels, int64_t rank,
                                int64_t channel_axis) {
  if (t.dtype() != DType::kFloat || t.rank() > rank) return {};
  for (int64_t d = 0; d < t.rank(); ++d) {
    const int64_t axis = d + rank - t.rank();
    if (t.dim(d) != 1 && !(axis == channel_axis && t.dim(d) == channels)) return {};
  }
  std::vector<double> values;
  for (int64_t c = 0; c < channels; ++c) values.push_back(t.number(t.size() == 1 ? 0 : c));
  return values;
}

std::optional<PerChannel> affine_of(const Graph& g, const Node& node, ValueId input,
                                    int64_t channels, int64_t rank, int64_t axis) {
  if (is(node, "BatchNormalization"))
    return node.inputs[0] == input ? batch_norm(g, node, channels) : std::nullopt;
  const bool multiply = is(node, "Mul"), add = is(node, "Add");
  if ((!multiply && !add) || node.inputs.size() != 2 || node.inputs[0] == node.inputs[1])
    return std::nullopt;
  const Tensor* t = constant(g, node.inputs[0] == input ? node.inputs[1] : node.inputs[0]);
  if (!t) return std::nullopt;
  std::vector<double> values = per_channel(*t, channels, rank, axis);
  if (values.empty()) return std::nullopt;
  const auto n = static_cast<size_t>(channels);
  if (multiply) return PerChannel{std::move(values), std::vector<double>(n, 0.0)};
  return PerChannel{std::vector<double>(n, 1.0), std::move(values)};
}

// The weight with each slice of `axis` multiplied.
Tensor scaled(const Tensor& weight, const std::vector<double>& factor, int64_t axis) {
  Tensor out = weight;
  auto data = out.mutable_data<float>();
  int64_t inner = 1;
  for (int64_t d = axis + 1; d < weight.rank(); ++d) inner *= weight.dim(d);
  for (size_t at = 0; at < data.size();) {
    for (const double f : factor)
      for (int64_t i = 0; i < inner; ++i, ++at) data[at] = static_cast<float>(data[at] * f);
  }
  return out;
}

// A private copy of the constant at an input slot, keeping its name when nobody else reads it.
void set_constant(Graph& g, const Uses& uses, Node& node, size_t slot, const std::string& name,
                  Tensor data) {
  if (node.inputs.size() <= slot) node.inputs.resize(slot + 1, ValueId::kNone);
  ValueId& id = node.inputs[slot];
  if (id != ValueId::kNone && index(id) < uses.consumers.size() &&
      uses.consumers[index(id)].size() == 1 && !uses.is_output[index(id)]) {
    g.initializers[id].data = std::move(data);
  } else {
    id = add_initializer(g, name, std::move(data));
  }
}

bool fold_into(Graph& g, const Uses& uses, Node& layer, const QuantRule& rule, const Node& next) {
  const auto weight_slot = static_cast<size_t>(rule.weight_input);
  const Tensor* found = constant(g, layer.inputs[weight_slot]);
  if (rule.bias_input < 0 || !found || found->dtype() != DType::kFloat || !rule.weight_axis)
    return false;
  const Tensor weight = *found;
  const bool gemm = is(layer, "Gemm");
  if (is(layer, "ConvTranspose") && attr_int(layer, "group", 1) != 1) return false;
  const int64_t axis = rule.weight_axis(layer), channels = weight.dim(axis);
  const auto p = affine_of(g, next, layer.outputs[0], channels, gemm ? 2 : weight.rank(), 1);
  if (!p) return false;
  if (gemm && (attr_float(layer, "alpha", 1) != 1 || attr_float(layer, "beta", 1) != 1))
    return false;
  const auto slot = static_cast<size_t>(rule.bias_input);
  const ValueId bias_id = layer.inputs.size() > slot ? layer.inputs[slot] : ValueId::kNone;
  const Tensor* bias = bias_id == ValueId::kNone ? nullptr : float_constant(g, bias_id, channels);
  if (bias_id != ValueId::kNone && !bias) return false;
  Tensor new_bias(DType::kFloat, {channels});
  auto out = new_bias.mutable_data<float>();
  for (size_t c = 0; c < out.size(); ++c) {
    out[c] =
        static_cast<float>((bias ? bias->data<float>()[c] : 0.0) * p->factor[c] + p->offset[c]);
  }
  set_constant(g, uses, layer, weight_slot, layer.name + "/weight",
               scaled(weight, p->factor, axis));
  set_constant(g, uses, layer, slot, layer.name + "/bias", std::move(new_bias));
  return true;
}

}  // namespace

void fold_affine(Model& model, const std::set<std::string>& observe) {
  Graph& g = model.graph;
  const Uses uses = uses_of(g);
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const OpDef* op = find_op(g.nodes[i].type, g.nodes[i].domain, model.opset(g.nodes[i].domain));
    if (!op || op->quant.kind != QuantKind::kLinear) continue;
    // A layer takes in any number of followers.
    while (!observe.contains(g.value(g.nodes[i].outputs[0]).name)) {
      const int32_t next = sole_consumer(uses, g.nodes[i].outputs[0]);
      if (next < 0 ||
          !fold_into(g, uses, g.nodes[i], op->quant, g.nodes[static_cast<size_t>(next)]))
        break;
      g.nodes[i].outputs[0] = g.nodes[static_cast<size_t>(next)].outputs[0];
      gone.push_back(next);
    }
  }
  remove_nodes(g, gone);
}

void matmul_add_to_gemm(Model& model) {
  Graph& g = model.graph;
  const Uses uses = uses_of(g);
  std::vector<int32_t> gone;
  for (Node& node : g.nodes) {
    if (!is(node, "MatMul")) continue;
    const Value& left = g.value(node.inputs[0]);
    const Tensor* right = constant(g, node.inputs[1]);
    const int32_t next = sole_consumer(uses, node.outputs[0]);
    if (!right || right->rank() != 2 || !left.shape || left.shape->size() != 2 || next < 0)
      continue;
    const Node& add = g.nodes[static_cast<size_t>(next)];
    if (!is(add, "Add")) continue;
    const ValueId other = add.inputs[0] == node.outputs[0] ? add.inputs[1] : add.inputs[0];
    const Tensor* bias = constant(g, other);
    if (!bias || bias->dtype() != DType::kFloat || bias->rank() > 2 ||
        bias->size() != right->dim(1) || bias->dim(-1) != right->dim(1))
      continue;
    const ValueId row =
        add_initializer(g, g.value(other).name + "/row", bias->reshaped({bias->size()}));
    node.type = "Gemm";
    node.inputs = {node.inputs[0], node.inputs[1], row};
    node.outputs[0] = add.outputs[0];
    gone.push_back(next);
  }
  remove_nodes(g, gone);
}

}  // namespace qtool::passes
