#include "passes/lower_qdq.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "graph/subgraphs.hpp"

namespace qtool {
namespace {

using passes::Codes;
using passes::LoweringContext;
using passes::Refusal;

constexpr const char* kMicrosoft = "com.microsoft";

ValueId input(const Node& node, size_t i) {
  return i < node.inputs.size() ? node.inputs[i] : ValueId::kNone;
}

void lower_conv(LoweringContext& c, int32_t i, const Node& node) {
  const Codes x = c.activation(node.inputs[0], "its input"), w = c.weight(node.inputs[1], 0);
  const ValueId bias = c.bias(input(node, 2), x, w);
  const auto r = c.result(node);
  std::vector<ValueId> inputs = {x.codes, x.scale,      x.zero_point, w.codes,
                                 w.scale, w.zero_point, r.to.scale,   r.to.zero_point};
  if (bias != ValueId::kNone) inputs.push_back(bias);
  c.replace(i, r, "QLinearConv", "", std::move(inputs));
}

void replace_dense(LoweringContext& c, int32_t i, const Node& node, std::string type,
                   std::string domain, std::vector<ValueId> inputs) {
  // Without a quantizer behind it the kernel makes floats of its sums.
  if (!c.has_quantizer(node))
    return c.replace_keeping_result(i, std::move(type), std::move(domain), std::move(inputs));
  const auto r = c.result(node);
  inputs.insert(inputs.end(), {r.to.scale, r.to.zero_point});
  c.replace(i, r, std::move(type), std::move(domain), std::move(inputs));
}

void lower_gemm(LoweringContext& c, int32_t i, const Node& node) {
  if (attr_float(node, "alpha", 1) != 1 || attr_float(node, "beta", 1) != 1 ||
      attr_int(node, "transA", 0)) {
    throw Refusal{"its alpha, beta or transA is not the default"};
  }
  const int64_t axis = attr_int(node, "transB", 0) ? 0 : 1;
  const Codes x = c.activation(node.inputs[0], "its input"), w = c.weight(node.inputs[1], axis);
  if (c.graph().constant(w.codes)->rank() != 2) throw Refusal{"its weight is no matrix"};
  replace_dense(c, i, node, "QGemm", kMicrosoft,
                {x.codes, x.scale, x.zero_point, w.codes, w.scale, w.zero_point,
                 c.bias(input(node, 2), x, w)});
}

void lower_matmul(LoweringContext& c, int32_t i, const Node& node) {
  const Codes a = c.activation(node.inputs[0], "its input");
  const Tensor* weight = c.dequantized_constant(node.inputs[1]);
  const Codes b = weight ? c.weight(node.inputs[1], weight->rank() - 1)
                         : c.activation(node.inputs[1], "its second input");
  if (weight && weight->rank() < 2) throw Refusal{"its weight is a vector"};
  replace_dense(c, i, node, "QMatMul", "qtool",
                {a.codes, a.scale, a.zero_point, b.codes, b.scale, b.zero_point, ValueId::kNone});
}

void lower_linear(LoweringContext& c, int32_t i, const Node& node) {
  if (is(node, "Conv")) return lower_conv(c, i, node);
  if (is(node, "Gemm")) return lower_gemm(c, i, node);
  if (is(node, "MatMul")) return lower_matmul(c, i, node);
  throw Refusal{"no integer kernel for this operator"};
}

void lower_binary(LoweringContext& c, int32_t i, const Node& node) {
  const Codes a = c.activation(node.inputs[0], "its first input"),
              b = c.activation(node.inputs[1], "its second input");
  const auto r = c.result(node);
  if (a.type != b.type || a.type != r.to.type)
    throw Refusal{"its inputs and result have different code types"};
  c.replace(i, r, "QLinear" + node.type, kMicrosoft,
            {a.codes, a.scale, a.zero_point, b.codes, b.scale, b.zero_point, r.to.scale,
             r.to.zero_point});
}

void lower_concat(LoweringContext& c, int32_t i, const Node& node) {
  std::vector<Codes> parts;
  for (ValueId v : node.inputs) parts.push_back(c.activation(v, "its input"));
  const auto r = c.result(node);
  if (r.clamps) throw Refusal{"an activation stands behind it"};
  std::vector<ValueId> inputs = {r.to.scale, r.to.zero_point};
  for (const Codes& p : parts) {
    if (p.type != r.to.type) throw Refusal{"its inputs and result have different code types"};
    inputs.insert(inputs.end(), {p.codes, p.scale, p.zero_point});
  }
  c.replace(i, r, "QLinearConcat", kMicrosoft, std::move(inputs));
}

void lower_average(LoweringContext& c, int32_t i, const Node& node) {
  const Codes x = c.activation(node.inputs[0], "its input");
  const auto r = c.result(node);
  if (x.type != r.to.type) throw Refusal{"its input and result have different code types"};
  const std::string type = "QLinear" + node.type;
  c.replace(i, r, type, kMicrosoft, {x.codes, x.scale, x.zero_point, r.to.scale, r.to.zero_point});
}

// Whether codes lie in the result's range before anything clamps them: all of their type do, or what made them
// clamped them.
bool lie_within(const Graph& g, const Codes& x, const LoweringContext::Result& r) {
  int64_t low = r.to.type == DType::kUint8 ? 0 : -128, high = low + 255;
  for (const Node& node : g.nodes) {
    if (node.outputs.empty() || node.outputs[0] != x.codes || !find_attribute(node, "code_min"))
      continue;
    low = attr_int(node, "code_min", low);
    high = attr_int(node, "code_max", high);
  }
  return low >= r.code_min && high <= r.code_max;
}

// Moves codes instead of reals: only right when both sides mean the same by a code.
void lower_movement(LoweringContext& c, int32_t i, const Node& node) {
  const Codes x = c.activation(node.inputs[0], "its input");
  if (node.outputs.size() != 1) throw Refusal{"it has several results"};
  const auto r = c.result(node);
  if (x.type != r.to.type || x.scale_data->number(0) != r.to.scale_data->number(0) ||
      x.zero_data->integer(0) != r.to.zero_data->integer(0)) {
    throw Refusal{"its input and result have different scales"};
  }
  if (!lie_within(c.graph(), x, r)) throw Refusal{"an activation stands behind it"};
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = x.codes;
  if (is(node, "Pad") && attr_string(node, "mode", "constant") == "constant") {
    const Tensor* value = passes::constant(c.graph(), input(node, 2));
    if (input(node, 2) != ValueId::kNone && (!value || value->number(0) != 0))
      throw Refusal{"it pads with something other than zero"};
    inputs.resize(std::max<size_t>(inputs.size(), 3), ValueId::kNone);
    inputs[2] = x.zero_point;
    if (x.zero_data->rank() != 0) throw Refusal{"its zero point is no scalar"};
  }
  c.replace(i, r, std::string(node.type), "", std::move(inputs));
}

// Functions of one value: a table of the result's code for each of the 256 input codes.
void lower_lookup(LoweringContext& c, int32_t i, const Node& node) {
  const Codes x = c.activation(node.inputs[0], "its input");
  for (size_t k = 1; k < node.inputs.size(); ++k) {
    if (node.inputs[k] != ValueId::kNone && !c.graph().constant(node.inputs[k]))
      throw Refusal{"its parameters are not constant"};
  }
  const auto r = c.result(node);
  const bool s8 = x.type == DType::kInt8;
  Tensor values(DType::kFloat, {256});
  for (int32_t bits = 0; bits < 256; ++bits) {
    const int32_t code = s8 ? static_cast<int8_t>(bits) : bits;
    values.mutable_data<float>()[static_cast<size_t>(bits)] =
        static_cast<float>(code - static_cast<int32_t>(x.zero_data->integer(0))) *
        x.scale_data->data<float>()[0];
  }
  std::vector<Tensor> arguments = {values};
  for (size_t k = 1; k < node.inputs.size(); ++k)
    arguments.push_back(node.inputs[k] == ValueId::kNone ? Tensor()
                                                         : *c.graph().constant(node.inputs[k]));
  const Tensor reals = eval_node(node, c.model().opset(node.domain), arguments)[0];
  Node q;
  q.name = node.name;
  q.type = "QuantizeLinear";
  q.inputs.assign(3, ValueId::kNone);
  q.outputs = {r.to.codes};
  Tensor table =
      eval_node(q, 13, std::array<Tensor, 3>{reals, *r.to.scale_data, *r.to.zero_data})[0];
  for (int64_t k = 0; r.clamps && k < 256; ++k)
    table.set_number(k, std::clamp<double>(table.number(k), r.code_min, r.code_max));
  const ValueId constant = add_initializer(c.graph(), node.name + "/table", std::move(table));
  c.replace(i, r, "Lookup", "qtool", {x.codes, constant});
}

void lower_node(LoweringContext& c, int32_t i, const Node& node, QuantKind kind) {
  switch (kind) {
    case QuantKind::kActivation:
    case QuantKind::kFunction:
      return lower_lookup(c, i, node);
    case QuantKind::kLinear:
      return lower_linear(c, i, node);
    case QuantKind::kBinary:
      return lower_binary(c, i, node);
    case QuantKind::kJoint:
      return lower_concat(c, i, node);
    case QuantKind::kAverage:
      return lower_average(c, i, node);
    case QuantKind::kMovement:
      return lower_movement(c, i, node);
    default:
      throw Refusal{"no integer kernel for this operator"};
  }
}

// Rows of a table of codes or scales, shapes: nothing that was ever a candidate.
bool moves_constant(const Graph& g, const Node& node, const QuantRule& rule) {
  return rule.kind == QuantKind::kMovement && passes::constant(g, input(node, 0));
}

// Operators that the model itself spells on codes, and what moves their results.
class CodeNodes {
 public:
  // Whether the node is one of them; nodes come in order.
  bool take(const Node& node, const QuantRule& rule) {
    const bool spelled = node.type.starts_with("QLinear") || node.type == "QGemm" ||
                         node.type == "QMatMul" || node.type == "Lookup" ||
                         node.type == "MatMulInteger" || node.type == "ConvInteger";
    const bool moves = rule.kind == QuantKind::kMovement && codes_.contains(input(node, 0));
    const bool integers = computes_on_integers(node);
    if (spelled || moves || integers || is(node, "QuantizeLinear")) codes_.insert(node.outputs[0]);
    if (integers || node.type == "MatMulInteger" || node.type == "ConvInteger")
      integers_.insert(node.outputs[0]);
    return spelled || moves;
  }

  // What makes codes of sums of whole numbers is part of the operator that made those.
  bool computes_on_integers(const Node& node) const {
    const auto reads = [&](const std::set<ValueId>& values) {
      return std::ranges::any_of(node.inputs, [&](ValueId v) { return values.contains(v); });
    };
    if (is(node, "DequantizeLinear")) return false;
    if (!is(node, "Cast")) return reads(integers_);
    return is_integer(static_cast<DType>(attr_int(node, "to", 0))) &&
           (reads(integers_) || reads(codes_));
  }

 private:
  std::set<ValueId> codes_, integers_;
};

// The graphs that nodes carry, by those nodes; layers are named by the path to them.
std::map<std::string, std::vector<LayerStatus>> lower_bodies(Model& model) {
  std::map<std::string, std::vector<LayerStatus>> layers;
  change_bodies(model, [&](Model& body, const Node& of) {
    Lowered lowered = lower_qdq(body);
    for (LayerStatus& status : lowered.layers) {
      if (!status.name.starts_with(of.name + "/")) status.name = cat(of.name, "/", status.name);
      layers[of.name].push_back(std::move(status));
    }
    body = std::move(lowered.model);
  });
  return layers;
}

}  // namespace

Lowered lower_qdq(const Model& model) {
  Lowered lowered;
  Model& m = lowered.model = model;
  passes::drop_initializer_inputs(m);
  passes::constants_to_initializers(m);
  // Weights that are looked up in a codebook, clipped or reshaped become the codes that they are.
  passes::fold_constants(m, passes::Dequantized::kKeep);
  m.opsets[kMicrosoft] = 1;
  m.opsets["qtool"] = 1;
  std::map<std::string, std::vector<LayerStatus>> inside = lower_bodies(m);
  LoweringContext context(m);
  CodeNodes spelled;
  std::vector<bool> gone(m.graph.nodes.size(), false);
  for (size_t i = 0; i < m.graph.nodes.size(); ++i) {
    const Node node = m.graph.nodes[i];
    for (LayerStatus& status : inside[node.name]) lowered.layers.push_back(std::move(status));
    const OpDef* op = find_op(node.type, node.domain, m.opset(node.domain));
    if (!gone[i] && op && spelled.take(node, op->quant)) {
      lowered.layers.push_back({node.name, node.type, true, ""});
      continue;
    }
    if (gone[i] || !op || op->quant.kind == QuantKind::kNone || is(node, "QuantizeLinear") ||
        is(node, "DequantizeLinear") || moves_constant(m.graph, node, op->quant) ||
        spelled.computes_on_integers(node))
      continue;
    LayerStatus status{node.name, node.type, false, ""};
    try {
      lower_node(context, static_cast<int32_t>(i), node, op->quant.kind);
      status.integer = true;
      for (int32_t r : context.removed()) gone[static_cast<size_t>(r)] = true;
    } catch (const Refusal& refusal) {
      status.reason = refusal.reason;
      const auto slot = static_cast<size_t>(std::max(op->quant.weight_input, 0));
      status.weight_codes = op->quant.kind == QuantKind::kLinear &&
                            context.dequantized_constant(input(node, slot)) &&
                            !context.is_dequantized(node.inputs[0]);
    }
    lowered.layers.push_back(std::move(status));
  }
  std::vector<int32_t> removed = context.removed();
  std::sort(removed.begin(), removed.end());
  remove_nodes(m.graph, removed);
  // A code value may have had other producers' order; constants added meanwhile are initializers.
  sort_nodes(m.graph);
  remove_dead(m.graph);
  verify(m.graph);
  return lowered;
}

}  // namespace qtool
