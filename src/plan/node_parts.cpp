#include "plan/node_parts.hpp"

#include <algorithm>

namespace qtool::plan {
namespace {

std::string quoted(const Value& value) { return cat("'", printable(value.name), "'"); }

class Parts {
 public:
  Parts(const Model& model, const Target& target, const std::set<std::string>& captured,
        const std::vector<ValueId>& behind)
      : model_(model), g_(model.graph), target_(target), captured_(captured), behind_(behind) {}

  NodeParts run() {
    NodeParts found;
    for (const Node& node : g_.nodes) found.parts.push_back(visit(node));
    found.layers = std::move(layers_);
    return found;
  }

 private:
  NodePart visit(const Node& node) {
    const OpDef* op = op_of(model_, node);
    if (!op) return {.reason = "qtool has no such operator"};
    const QuantRule& rule = op->quant;
    if (rule.kind == QuantKind::kNone) return {.reason = std::string(rule.reason)};
    if (rule.kind == QuantKind::kActivation || rule.kind == QuantKind::kFunction)
      return {.part = Part::kFunction};
    if (rule.kind == QuantKind::kLinear) return visit_linear(node, *op);
    NodePart part{.part = rule.kind == QuantKind::kMovement ? Part::kMovement : Part::kMixer};
    part.joins = rule.kind == QuantKind::kJoint;
    if (part.part == Part::kMovement && takes_in(g_, node, captured_)) return {};
    if (!target_.runs_on_codes(node, rule)) {
      part.reason = "no integer kernel on this target";
    } else if (rule.blocked && !rule.blocked(node).empty()) {
      part.reason = rule.blocked(node);
    } else {
      const bool one = part.part == Part::kMovement || rule.kind == QuantKind::kAverage;
      for (size_t i = 0; i < (one ? 1 : node.inputs.size()); ++i) part.reads.push_back(i);
      part.reason = refusal(node, part.reads);
      if (part.reason.empty() && rule.kind == QuantKind::kBinary && !known_ranks(node))
        part.reason = "the ranks of its operands are not known";
      if (part.reason.empty() && part.part == Part::kMovement && !brings_in_zeros_only(node, rule))
        part.reason = "it brings in values other than zero";
    }
    return part;
  }

  // Why the operands cannot be codes; "" when they can.
  std::string refusal(const Node& node, const std::vector<size_t>& reads) const {
    for (size_t i : reads) {
      const ValueId v = node.inputs[i];
      if (v == ValueId::kNone || g_.constant(v)) return "one of its operands is a constant";
      if (g_.value(v).dtype != DType::kFloat)
        return "one of its operands is not known to be float32";
    }
    return "";
  }

  bool known_ranks(const Node& node) const {
    return std::all_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId v) { return g_.value(v).shape.has_value(); });
  }

  // The value that Pad fills in must be a zero, which every quantizer represents.
  bool brings_in_zeros_only(const Node& node, const QuantRule& rule) const {
    const auto slot = static_cast<size_t>(std::max(rule.fill_input, 0));
    if (rule.fill_input < 0 || slot >= node.inputs.size() || node.inputs[slot] == ValueId::kNone)
      return true;
    const Tensor* value = g_.constant(node.inputs[slot]);
    return value && value->size() == 1 && value->number(0) == 0;
  }

  NodePart visit_linear(const Node& node, const OpDef& op) {
    const auto slot = static_cast<size_t>(op.quant.weight_input);
    const ValueId weight_id = slot < node.inputs.size() ? node.inputs[slot] : ValueId::kNone;
    const Tensor* weight = weight_id == ValueId::kNone ? nullptr : g_.constant(weight_id);
    if (!weight && op.quant.bias_input < 0) return visit_product(node, op);
    LayerSite site;
    site.name = node.name;
    site.type = node.type;
    site.input = g_.value(node.inputs[0]).name;
    site.output = g_.value(behind_[index(node.outputs[0])]).name;
    if (!weight) {
      site.reason = "its second operand is no constant weight";
    } else if (weight->dtype() != DType::kFloat) {
      site.reason = cat("its weight is ", dtype_name(weight->dtype()), ", not float32");
    } else if (g_.constant(node.inputs[0])) {
      site.reason = "its input is a constant";
    } else {
      fill_layer(site, node, op, *weight, weight_id);
    }
    NodePart part{.part = Part::kLayer, .reason = site.reason, .reads = {0}};
    if (!target_.runs_on_codes(node, op.quant))
      site.float_input = "no integer kernel on this target";
    if (!site.float_input.empty()) part.part = Part::kWeights;
    part.makes_codes = part.part == Part::kLayer && !site.dense;
    layers_.push_back(std::move(site));
    return part;
  }

  // MatMul of two activations.
  NodePart visit_product(const Node& node, const OpDef& op) const {
    NodePart part{.part = Part::kProduct, .reads = {0, 1}};
    part.reason = target_.runs_on_codes(node, op.quant) ? refusal(node, part.reads)
                                                        : "no integer kernel on this target";
    for (size_t i : part.reads) {
      const auto& shape = g_.value(node.inputs[i]).shape;
      if (part.reason.empty() && (!shape || shape->size() < 2))
        part.reason = "its operands are not known to be matrices";
    }
    return part;
  }

  void fill_layer(LayerSite& site, const Node& node, const OpDef& op, const Tensor& weight,
                  ValueId weight_id) {
    site.weight = g_.value(weight_id).name;
    site.weights = weight.size();
    site.channel_axis = op.quant.weight_axis ? op.quant.weight_axis(node) : 0;
    if (site.channel_axis < 0) site.channel_axis += weight.rank();
    site.takes_bias = op.quant.bias_input >= 0;
    site.dense = weight.rank() <= 2 || site.channel_axis == weight.rank() - 1;
    site.matrix = site.dense && weight.rank() == 2;
    // A stack of matrices multiplies a stack of inputs; patches have up to three dimensions.
    site.column_product =
        op.quant.column_product && (site.dense ? weight.rank() == 2 : weight.rank() <= 5);
    site.channels = weight.dim(site.channel_axis);
    if (weight.size() == 0) site.reason = "its weight is empty";
    if (site.dense && weight.rank() < 2) site.reason = "its weight is a vector";
    if (op.quant.blocked && !op.quant.blocked(node).empty()) site.reason = op.quant.blocked(node);
    const auto slot = static_cast<size_t>(std::max(op.quant.bias_input, 0));
    if (op.quant.bias_input >= 0 && slot < node.inputs.size() &&
        node.inputs[slot] != ValueId::kNone) {
      const Tensor* bias = g_.constant(node.inputs[slot]);
      if (!bias || bias->dtype() != DType::kFloat || bias->size() != site.channels)
        site.reason = "its bias is not one constant per output channel";
      else
        site.bias = g_.value(node.inputs[slot]).name;
    }
    const auto data = weight.data<float>();
    if (std::any_of(data.begin(), data.end(), [](float w) { return !(w - w == 0); })) {
      throw_model("QT-E350", cat(node_text(node), ": its weight ", quoted(g_.value(weight_id)),
                                 " holds NaN or infinity"));
    }
    weight.drop_pages();
    site.macs = macs(node, op);
  }

  int64_t macs(const Node& node, const OpDef& op) const {
    if (!op.macs) return 0;
    const auto shapes_of = [&](const std::vector<ValueId>& values, std::vector<Shape>& shapes) {
      return std::ranges::all_of(values, [&](ValueId v) {
        const std::optional<Shape> shape = v == ValueId::kNone ? Shape() : one_sample(g_, v);
        shapes.push_back(shape.value_or(Shape()));
        return shape.has_value();
      });
    };
    std::vector<Shape> in, out;
    return shapes_of(node.inputs, in) && shapes_of(node.outputs, out) ? op.macs(node, in, out) : 0;
  }

  const Model& model_;
  const Graph& g_;
  const Target& target_;
  const std::set<std::string>& captured_;
  const std::vector<ValueId>& behind_;
  std::vector<LayerSite> layers_;
};

}  // namespace

NodeParts find_parts(const Model& model, const Target& target,
                     const std::set<std::string>& captured, const std::vector<ValueId>& behind) {
  return Parts(model, target, captured, behind).run();
}

const OpDef* op_of(const Model& model, const Node& node) {
  return find_op(node.type, node.domain, model.opset(node.domain));
}

bool takes_in(const Graph& graph, const Node& node, const std::set<std::string>& captured) {
  const ValueId from = node.inputs.empty() ? ValueId::kNone : node.inputs[0];
  return from != ValueId::kNone && captured.contains(graph.value(from).name);
}

std::optional<Shape> one_sample(const Graph& graph, ValueId value) {
  if (const Tensor* constant = graph.constant(value)) return constant->shape();
  if (!graph.value(value).shape) return std::nullopt;
  Shape shape = *graph.value(value).shape;
  if (!shape.empty() && shape[0] < 0) shape[0] = 1;
  if (!is_static(shape)) return std::nullopt;
  return shape;
}

}  // namespace qtool::plan
