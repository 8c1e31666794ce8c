#include <algorithm>
#include <limits>

#include "passes/passes.hpp"

namespace qtool::passes {
namespace {

struct Activation {
  std::string kind;
  float alpha = 0, beta = 0;
};

// Bounds: attributes before opset 11, constant inputs after.
std::optional<Activation> clip_of(const Graph& g, const Node& node) {
  Activation clip{"Clip", attr_float(node, "min", std::numeric_limits<float>::lowest()),
                  attr_float(node, "max", std::numeric_limits<float>::max())};
  for (size_t i : {size_t{1}, size_t{2}}) {
    if (i >= node.inputs.size() || node.inputs[i] == ValueId::kNone) continue;
    const Tensor* bound = constant(g, node.inputs[i]);
    if (!bound || bound->size() != 1 || bound->dtype() != DType::kFloat) return std::nullopt;
    (i == 1 ? clip.alpha : clip.beta) = bound->data<float>()[0];
  }
  if (!(clip.alpha <= clip.beta)) return std::nullopt;
  return clip;
}

std::optional<Activation> activation_of(const Graph& g, const Node& node) {
  for (const std::string_view plain : {"Relu", "Sigmoid", "Tanh", "HardSwish"})
    if (is(node, plain)) return Activation{node.type};
  if (is(node, "LeakyRelu")) return Activation{node.type, attr_float(node, "alpha", 0.01f)};
  if (is(node, "Swish")) return Activation{node.type, attr_float(node, "alpha", 1.f)};
  if (is(node, "Gelu") && attr_string(node, "approximate", "none") == "none")
    return Activation{node.type};
  return is(node, "Clip") ? clip_of(g, node) : std::nullopt;
}

// Products whose result is float, whatever their operands are.
bool is_float_product_of_codes(const Node& node) {
  constexpr size_t kResultScale = 7;
  return (is(node, "QMatMul", "qtool") || is(node, "QGemm", "com.microsoft")) &&
         (node.inputs.size() <= kResultScale || node.inputs[kResultScale] == ValueId::kNone);
}

class Fusion {
 public:
  Fusion(Graph& graph, const std::set<std::string>& observe)
      : g_(graph), uses_(uses_of(graph)), observe_(observe) {}

  void run() {
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      const Node& node = g_.nodes[i];
      if (is(node, "Conv") && is_float(node)) absorb_residual(static_cast<int32_t>(i));
      if (is(node, "MatMul") && is_float(node)) absorb_bias(static_cast<int32_t>(i), 1, 2);
      if (is(node, "QMatMul", "qtool") && is_float_product_of_codes(node))
        absorb_bias(static_cast<int32_t>(i), 3, 9);
    }
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      const Node& node = g_.nodes[i];
      const bool takes =
          is_float_product_of_codes(node) ||
          ((is(node, "Conv") || is(node, "Gemm") || is(node, "MatMul") || is(node, "Add")) &&
           is_float(node));
      if (takes && !absorbed(static_cast<int32_t>(i))) absorb_activation(static_cast<int32_t>(i));
    }
    // A layer with a residual runs where its Add stood: both operands exist there.
    remove_nodes(g_, gone_);
    sort_nodes(g_);
  }

 private:
  bool absorbed(int32_t i) const { return std::find(gone_.begin(), gone_.end(), i) != gone_.end(); }

  bool is_float(const Node& node) const {
    for (ValueId v : node.inputs) {
      if (v == ValueId::kNone) continue;
      const DType type = g_.constant(v) ? g_.constant(v)->dtype() : g_.value(v).dtype;
      if (type != DType::kFloat && type != DType::kUndefined) return false;
    }
    return true;
  }

  // The node that alone reads the node's result, when nobody watches that result.
  int32_t follower(const Node& node) const {
    if (observe_.contains(g_.value(node.outputs[0]).name)) return -1;
    return sole_consumer(uses_, node.outputs[0]);
  }

  void take_over(Node& node, int32_t next) {
    const Node& absorbed_node = g_.nodes[static_cast<size_t>(next)];
    std::string names = attr_string(node, "fused_from", "");
    set_attribute(node, "fused_from",
                  names + absorbed_node.name + "\n" + attr_string(absorbed_node, "fused_from", ""));
    node.outputs[0] = absorbed_node.outputs[0];
    gone_.push_back(next);
  }

  void absorb_residual(int32_t i) {
    Node& node = g_.nodes[static_cast<size_t>(i)];
    const int32_t next = follower(node);
    if (next < 0 || absorbed(next) || !is(g_.nodes[static_cast<size_t>(next)], "Add")) return;
    const Node& add = g_.nodes[static_cast<size_t>(next)];
    const ValueId other = add.inputs[0] == node.outputs[0] ? add.inputs[1] : add.inputs[0];
    const Value &a = g_.value(node.outputs[0]), &b = g_.value(other);
    // Equal shapes only, which needs to be known: broadcasting is the Add's business.
    if (other == node.outputs[0] || g_.constant(other) || !a.shape || !b.shape ||
        a.shape != b.shape || a.symbols != b.symbols)
      return;
    node.inputs.resize(4, ValueId::kNone);
    node.inputs[3] = other;
    set_attribute(node, "residual_input", int64_t{3});
    take_over(node, next);
  }

  // A row that is added to every row of a product with the constant matrix at input `matrix`; it becomes
  // input `slot`.
  void absorb_bias(int32_t i, size_t matrix, size_t slot) {
    Node& node = g_.nodes[static_cast<size_t>(i)];
    const int32_t next = follower(node);
    if (next < 0 || absorbed(next) || !is(g_.nodes[static_cast<size_t>(next)], "Add")) return;
    const Node& add = g_.nodes[static_cast<size_t>(next)];
    const ValueId row = add.inputs[0] == node.outputs[0] ? add.inputs[1] : add.inputs[0];
    const Tensor *weights = constant(g_, node.inputs[matrix]), *bias = constant(g_, row);
    if (!weights || weights->rank() != 2 || !bias || bias->dtype() != DType::kFloat ||
        bias->shape() != Shape{weights->dim(1)})
      return;
    node.inputs.resize(slot, ValueId::kNone);
    node.inputs.push_back(row);
    set_attribute(node, "residual_input", static_cast<int64_t>(slot));
    take_over(node, next);
  }

  void absorb_activation(int32_t i) {
    Node& node = g_.nodes[static_cast<size_t>(i)];
    const int32_t next = follower(node);
    if (next < 0) return;
    const auto activation = activation_of(g_, g_.nodes[static_cast<size_t>(next)]);
    if (!activation || g_.nodes[static_cast<size_t>(next)].inputs[0] != node.outputs[0]) return;
    set_attribute(node, "activation", activation->kind);
    set_attribute(node, "activation_alpha", activation->alpha);
    set_attribute(node, "activation_beta", activation->beta);
    take_over(node, next);
  }

  Graph& g_;
  Uses uses_;
  const std::set<std::string>& observe_;
  std::vector<int32_t> gone_;
};

}  // namespace

void fuse_activations(Model& model, const std::set<std::string>& observe) {
  Fusion(model.graph, observe).run();
}

}  // namespace qtool::passes
