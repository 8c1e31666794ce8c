#include <algorithm>

#include "qtool/plan.hpp"

namespace qtool {
namespace {

const OpDef* op_of(const Model& model, const Node& node) {
  return find_op(node.type, node.domain, model.opset(node.domain));
}

std::string quoted(const Value& value) { return cat("'", printable(value.name), "'"); }

// Collects the three kinds of sites in one walk over the nodes.
class Finder {
 public:
  Finder(const Model& model, const Target& target)
      : model_(model), g_(model.graph), target_(target), uses_(uses_of(g_)) {}

  Sites run() {
    for (const Node& node : g_.nodes) visit(node);
    name_kept_sites();
    return std::move(sites_);
  }

 private:
  void visit(const Node& node) {
    const OpDef* op = op_of(model_, node);
    if (!op || op->quant.kind == QuantKind::kActivation) return;
    if (op->quant.kind == QuantKind::kLinear) return visit_layer(node, *op);
    NodeSite site{node.name, node.type, ""};
    if (op->quant.kind == QuantKind::kNone || op->quant.kind == QuantKind::kFixedRange) {
      site.reason = op->quant.kind == QuantKind::kNone ? std::string(op->quant.reason)
                                                       : "no integer kernel on this target";
    } else if (!target_.runs_on_codes(node, op->quant)) {
      site.reason = "no integer kernel on this target";
    } else if (op->quant.blocked && !op->quant.blocked(node).empty()) {
      site.reason = op->quant.blocked(node);
    } else {
      site.reason = visit_codes(node, op->quant.kind);
    }
    if (!only_integers(node)) sites_.nodes.push_back(std::move(site));
  }

  // Shape arithmetic is no candidate for quantization and no news in a report.
  bool only_integers(const Node& node) const {
    return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return v == ValueId::kNone ||
             (g_.value(v).dtype != DType::kFloat && g_.value(v).dtype != DType::kUndefined);
    });
  }

  void visit_layer(const Node& node, const OpDef& op) {
    LayerSite site;
    site.name = node.name;
    site.type = node.type;
    const auto slot = static_cast<size_t>(op.quant.weight_input);
    const ValueId weight_id = slot < node.inputs.size() ? node.inputs[slot] : ValueId::kNone;
    const Tensor* weight = weight_id == ValueId::kNone ? nullptr : g_.constant(weight_id);
    site.input = g_.value(node.inputs[0]).name;
    site.output = g_.value(behind_activation(node.outputs[0])).name;
    if (!weight) {
      site.reason = "its second operand is no constant weight";
    } else if (weight->dtype() != DType::kFloat) {
      site.reason = cat("its weight is ", dtype_name(weight->dtype()), ", not float32");
    } else if (g_.constant(node.inputs[0])) {
      site.reason = "its input is a constant";
    } else if (!target_.runs_on_codes(node, op.quant)) {
      site.reason = "no integer kernel on this target";
    } else {
      fill_layer(site, node, op, *weight, weight_id);
    }
    if (site.reason.empty()) {
      activation(node.inputs[0]);
      // The target makes floats of a last dense layer's sums: one rounding less.
      if (!(site.dense && uses_.is_output[index(behind_activation(node.outputs[0]))]))
        activation(behind_activation(node.outputs[0]));
    }
    sites_.layers.push_back(std::move(site));
  }

  void fill_layer(LayerSite& site, const Node& node, const OpDef& op, const Tensor& weight,
                  ValueId weight_id) {
    site.weight = g_.value(weight_id).name;
    site.weights = weight.size();
    site.channel_axis = op.quant.weight_axis ? op.quant.weight_axis(node) : 0;
    if (site.channel_axis < 0) site.channel_axis += weight.rank();
    site.takes_bias = op.quant.bias_input >= 0;
    site.column_product = op.quant.column_product;
    site.dense = weight.rank() <= 2;
    site.channels = weight.dim(site.channel_axis);
    if (weight.size() == 0) site.reason = "its weight is empty";
    if (weight.rank() > 2 && site.channel_axis == weight.rank() - 1)
      site.reason = "its weight is a stack of matrices";
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
    site.macs = macs(node, op);
  }

  int64_t macs(const Node& node, const OpDef& op) const {
    if (!op.macs) return 0;
    std::vector<Shape> in, out;
    for (ValueId v : node.inputs)
      if (!one_sample(v, in)) return 0;
    for (ValueId v : node.outputs)
      if (!one_sample(v, out)) return 0;
    return op.macs(node, in, out);
  }

  // Appends the value's shape with a free leading dimension taken as one; false when more is unknown.
  bool one_sample(ValueId v, std::vector<Shape>& shapes) const {
    if (v == ValueId::kNone) return shapes.push_back({}), true;
    if (const Tensor* t = g_.constant(v)) return shapes.push_back(t->shape()), true;
    if (!g_.value(v).shape) return false;
    Shape shape = *g_.value(v).shape;
    if (!shape.empty() && shape[0] < 0) shape[0] = 1;
    if (!is_static(shape)) return false;
    shapes.push_back(std::move(shape));
    return true;
  }

  // Nodes without weights. Returns why one stays in float.
  std::string visit_codes(const Node& node, QuantKind kind) {
    const bool movement = kind == QuantKind::kMovement;
    const size_t data_inputs = movement || kind == QuantKind::kAverage ? 1 : node.inputs.size();
    for (size_t i = 0; i < data_inputs; ++i) {
      const ValueId v = node.inputs[i];
      if (v == ValueId::kNone || g_.constant(v)) return "one of its operands is a constant";
      if (g_.value(v).dtype != DType::kFloat)
        return cat("its operand ", quoted(g_.value(v)), " is not known to be float32");
    }
    if (kind == QuantKind::kBinary) {
      const auto &a = g_.value(node.inputs[0]), &b = g_.value(node.inputs[1]);
      if (!a.shape || !b.shape || *a.shape != *b.shape) return "it broadcasts one operand";
    }
    if (movement) {
      if (!known_.contains(node.inputs[0])) return "its input is not quantized";
      if (!brings_in_zeros_only(node)) return "it brings in values other than zero";
      for (ValueId v : node.outputs) {
        if (v == ValueId::kNone || uses_.is_output[index(v)]) return "its result is a graph output";
      }
      for (ValueId v : node.outputs) activation(v, g_.value(node.inputs[0]).name);
      return "";
    }
    for (size_t i = 0; i < data_inputs; ++i) activation(node.inputs[i]);
    activation(behind_activation(node.outputs[0]));
    return "";
  }

  // Further float operands of data movement (the value that Pad fills in) must be a zero, which every
  // quantizer represents.
  bool brings_in_zeros_only(const Node& node) const {
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == ValueId::kNone) continue;
      const Tensor* value = g_.constant(node.inputs[i]);
      if (value ? value->dtype() == DType::kFloat && (value->size() != 1 || value->number(0) != 0)
                : g_.value(node.inputs[i]).dtype == DType::kFloat) {
        return false;
      }
    }
    return true;
  }

  // The value behind a chain of Relu and Clip that alone read `v`.
  ValueId behind_activation(ValueId v) const {
    for (;;) {
      const auto& consumers = uses_.consumers[index(v)];
      if (consumers.size() != 1 || uses_.is_output[index(v)]) return v;
      const Node& next = g_.nodes[static_cast<size_t>(consumers[0])];
      const OpDef* op = op_of(model_, next);
      if (!op || op->quant.kind != QuantKind::kActivation || next.inputs[0] != v) return v;
      v = next.outputs[0];
    }
  }

  void activation(ValueId v, const std::string& shares_with = "") {
    if (!known_.insert(v).second) return;
    ActivationSite site;
    site.name = g_.value(v).name;
    site.network_input = uses_.producer[index(v)] < 0;
    site.shares_with = shares_with;
    std::vector<Shape> shape;
    if (one_sample(v, shape)) site.elements = element_count(shape[0]);
    sites_.activations.push_back(std::move(site));
  }

  // A movement chain's root: parameters are looked up once, at their owner.
  void name_kept_sites() {
    std::map<std::string, std::string> owner;
    for (ActivationSite& site : sites_.activations) {
      if (site.shares_with.empty()) continue;
      if (auto it = owner.find(site.shares_with); it != owner.end()) site.shares_with = it->second;
      owner[site.name] = site.shares_with;
    }
  }

  const Model& model_;
  const Graph& g_;
  const Target& target_;
  Uses uses_;
  std::set<ValueId> known_;
  Sites sites_;
};

}  // namespace

Sites find_sites(const Model& model, const Target& target) { return Finder(model, target).run(); }

const LayerSite* Sites::layer(const std::string& name) const {
  auto it = std::find_if(layers.begin(), layers.end(),
                         [&](const LayerSite& l) { return l.name == name; });
  return it == layers.end() ? nullptr : &*it;
}

const ActivationSite* Sites::activation(const std::string& name) const {
  auto it = std::find_if(activations.begin(), activations.end(),
                         [&](const ActivationSite& a) { return a.name == name; });
  return it == activations.end() ? nullptr : &*it;
}

}  // namespace qtool
