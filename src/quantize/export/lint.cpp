// The rules of docs/export.md, checked on the graph that is about to be written.
#include <algorithm>
#include <cmath>

#include "graph/subgraphs.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

class Lint {
 public:
  Lint(const Model& model, const Target& target)
      : model_(model), g_(model.graph), target_(target), uses_(uses_of(g_)) {}

  void run() const {
    for (const Node& node : g_.nodes) {
      if (is(node, "QuantizeLinear")) parameters(node);
      if (is(node, "DequantizeLinear")) parameters(node);
    }
  }

 private:
  [[noreturn]] static void fail(const Node& node, std::string_view rule) {
    throw_internal(cat("export lint: ", node_text(node), ": ", rule));
  }

  void parameters(const Node& node) const {
    // Scales by place in the kernel are products that runtimes fold; no Q is beside them.
    if (find_attribute(node, "block_size") && !g_.constant(node.inputs[1])) return;
    if (node.inputs.size() < 3 || node.inputs[2] == ValueId::kNone)
      fail(node, "no explicit zero point");
    const Tensor* scale = g_.constant(node.inputs[1]);
    const Tensor* zero = g_.constant(node.inputs[2]);
    if (!scale || !zero) return;  // the model's own
    if (scale->shape() != zero->shape()) fail(node, "scale and zero point differ in shape");
    for (float s : scale->data<float>())
      if (!std::isnormal(s) || s < 0) fail(node, "a scale is not a normal positive number");
    if (is(node, "QuantizeLinear") && scale->rank() != 0)
      fail(node, "an activation's scale is no scalar");
    if (is(node, "QuantizeLinear") && made_by_fused_kernel(node.inputs[0]) &&
        uses_.consumers[index(node.inputs[0])].size() != 1)
      fail(node, "its input has another float reader");
    if (is(node, "DequantizeLinear") && zero->dtype() == DType::kInt32) {
      for (int32_t z : zero->data<int32_t>())
        if (z) fail(node, "an int32 bias has a zero point");
    }
  }

  const Node* producer(ValueId v) const {
    const int32_t p = v == ValueId::kNone ? -1 : uses_.producer[index(v)];
    return p < 0 ? nullptr : &g_.nodes[static_cast<size_t>(p)];
  }

  // Whether the target makes codes of this value: an operator on codes whose inputs all are. Functions may keep
  // floats for others.
  bool made_by_fused_kernel(ValueId v) const {
    const Node* node = producer(v);
    const auto kind = [&](const Node& n) {
      const OpDef* op = find_op(n.type, n.domain, model_.opset(n.domain));
      return op && target_.runs_on_codes(n, op->quant)        ? op->quant.kind
             : op && op->quant.kind == QuantKind::kActivation ? QuantKind::kActivation
                                                              : QuantKind::kNone;
    };
    while (node && kind(*node) == QuantKind::kActivation) node = producer(node->inputs[0]);
    if (!node || kind(*node) == QuantKind::kNone || kind(*node) == QuantKind::kFunction)
      return false;
    return std::all_of(node->inputs.begin(), node->inputs.end(), [&](ValueId in) {
      if (in == ValueId::kNone || g_.constant(in)) return true;
      const Node* before = producer(in);
      return before && is(*before, "DequantizeLinear");
    });
  }

  const Model& model_;
  const Graph& g_;
  const Target& target_;
  Uses uses_;
};

}  // namespace

namespace {

void lint(const Model& model, const Target& target) {
  Lint(model, target).run();
  visit_bodies(model, [&](const Model& body, const Node&) { lint(body, target); });
}

}  // namespace

void lint_export(const Model& model, const Model& source, const std::string& target) {
  lint(model, find_target(target));
  check_model(model, &source);
}

namespace qdq {

int64_t predict_fused(const Model& model, const std::string& target) {
  const Target& t = find_target(target);
  int64_t fused = 0;
  for (const LayerStatus& layer : lower_qdq(model).layers) {
    Node node;
    node.type = layer.type;
    const OpDef* op = find_op(layer.type, "", model.opset());
    fused += layer.integer ? op && t.runs_on_codes(node, op->quant)
                           : layer.weight_codes && t.takes_weight_codes(node);
  }
  return fused;
}

}  // namespace qdq

}  // namespace qtool
