#include <algorithm>

#include "plan/body_sites.hpp"
#include "plan/code_regions.hpp"
#include "qtool/plan.hpp"

namespace qtool {
namespace {

using plan::NodePart;
using plan::Part;

const OpDef* op_of(const Model& model, const Node& node) {
  return find_op(node.type, node.domain, model.opset(node.domain));
}

std::string quoted(const Value& value) { return cat("'", printable(value.name), "'"); }

// Looks at every node by itself, then at neighbours (find_regions), then names what it found.
class Finder {
 public:
  Finder(const Model& model, const Target& target, const std::set<std::string>& captured)
      : model_(model), g_(model.graph), target_(target), captured_(captured), uses_(uses_of(g_)) {
    for (size_t v = 0; v < g_.values.size(); ++v)
      behind_.push_back(behind_activation(static_cast<ValueId>(v)));
  }

  Sites run() {
    for (const Node& node : g_.nodes) parts_.push_back(visit(node));
    plan::find_moves(g_, uses_, parts_);
    const plan::Regions regions = plan::find_regions(g_, uses_, parts_, behind_);
    for (ValueId v : in_graph_order(regions.quantized)) activation(v, regions);
    for (size_t n = 0; n < g_.nodes.size(); ++n) node_site(n, regions);
    return std::move(sites_);
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
    if (part.part == Part::kMovement && takes_in(node)) return {};
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

  bool takes_in(const Node& node) const {
    const ValueId from = node.inputs.empty() ? ValueId::kNone : node.inputs[0];
    return from != ValueId::kNone && captured_.contains(g_.value(from).name);
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
    sites_.layers.push_back(std::move(site));
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

  // Graph inputs first, then results in the order of their nodes: owners before those who share.
  std::vector<ValueId> in_graph_order(const std::set<ValueId>& values) const {
    std::vector<ValueId> order;
    for (ValueId v : g_.inputs)
      if (values.contains(v)) order.push_back(v);
    for (const Node& node : g_.nodes) {
      for (ValueId v : node.outputs)
        if (v != ValueId::kNone && values.contains(v)) order.push_back(v);
    }
    return order;
  }

  void activation(ValueId v, const plan::Regions& regions) {
    ActivationSite site;
    site.name = g_.value(v).name;
    const int32_t producer = uses_.producer[index(v)];
    site.network_input = producer < 0;
    if (auto it = regions.shares_with.find(v); it != regions.shares_with.end())
      site.shares_with = g_.value(it->second).name;
    if (auto it = regions.only_for.find(v); it != regions.only_for.end()) {
      for (int32_t r : it->second) site.readers.insert(g_.nodes[static_cast<size_t>(r)].name);
    }
    const OpDef* op =
        producer < 0 ? nullptr : op_of(model_, g_.nodes[static_cast<size_t>(producer)]);
    if (op && op->quant.lowest < op->quant.highest)
      site.fixed_range = {op->quant.lowest, op->quant.highest};
    if (!uses_.is_output[index(v)]) site.sensitive = sensitive_range(v);
    find_branches(v, regions, site);
    std::vector<Shape> shape;
    if (one_sample(v, shape)) site.elements = element_count(shape[0]);
    sites_.activations.push_back(std::move(site));
  }

  void find_branches(ValueId v, const plan::Regions& regions, ActivationSite& site) const {
    site.branches = site.readers.empty() && uses_.is_output[index(v)];
    for (int32_t r : uses_.consumers[index(v)]) {
      const auto n = static_cast<size_t>(r);
      const std::string& name = g_.nodes[n].name;
      if (!site.readers.empty() && !site.readers.contains(name)) continue;
      const bool on_codes = regions.reasons[n].empty();
      if (on_codes && parts_[n].part == Part::kLayer)
        site.layers.insert(name);
      else if (!on_codes || parts_[n].part != Part::kMovement)
        site.branches = true;
    }
  }

  // The range that makes a difference to what reads the value.
  std::optional<std::pair<double, double>> sensitive_range(ValueId v) const {
    std::pair<double, double> range{0, 0};
    for (int32_t r : uses_.consumers[index(v)]) {
      const Node& reader = g_.nodes[static_cast<size_t>(r)];
      const OpDef* op = op_of(model_, reader);
      if (!op || !op->quant.sensitive) return std::nullopt;
      const auto [lo, hi] = op->quant.sensitive(reader);
      range = {std::min(range.first, lo), std::max(range.second, hi)};
    }
    return range;
  }

  void node_site(size_t n, const plan::Regions& regions) {
    const Node& node = g_.nodes[n];
    const OpDef* op = op_of(model_, node);
    const Part part = parts_[n].part;
    if (!op || part == Part::kLayer || part == Part::kWeights || only_integers(node) ||
        op->quant.kind == QuantKind::kActivation ||
        (op->quant.kind == QuantKind::kMovement && takes_in(node)))
      return;
    NodeSite site{node.name, node.type, regions.reasons[n]};
    if (part == Part::kFunction && !runs_function(node, *op, regions))
      site.reason = "no integer kernel on this target";
    sites_.nodes.push_back(std::move(site));
  }

  bool runs_function(const Node& node, const OpDef& op, const plan::Regions& regions) const {
    return target_.runs_on_codes(node, op.quant) && regions.quantized.contains(node.inputs[0]) &&
           regions.quantized.contains(node.outputs[0]);
  }

  // Shape arithmetic is no candidate for quantization and no news in a report.
  bool only_integers(const Node& node) const {
    return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return v == ValueId::kNone ||
             (g_.value(v).dtype != DType::kFloat && g_.value(v).dtype != DType::kUndefined);
    });
  }

  const Model& model_;
  const Graph& g_;
  const Target& target_;
  const std::set<std::string>& captured_;
  Uses uses_;
  std::vector<ValueId> behind_;
  std::vector<NodePart> parts_;
  Sites sites_;
};

}  // namespace

Sites plan::sites_of_graph(const Model& model, const Target& target,
                           const std::set<std::string>& captured) {
  return Finder(model, target, captured).run();
}

}  // namespace qtool
