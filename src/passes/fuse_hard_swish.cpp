// x · clip(x + 3, 0, 6) / 6, as exporters spell HardSwish before opset 14, becomes one node: a function
// of one value, of which is known that everything below −3 is zero.
#include <algorithm>
#include <cmath>

#include "passes/passes.hpp"
#include "qtool/onnx.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {
namespace {

constexpr int64_t kHardSwishOpset = 14;
constexpr double kSixth = 1.0 / 6;

class Fusion {
 public:
  explicit Fusion(Model& model) : g_(model.graph), uses_(uses_of(g_)) {}

  // Whether a HardSwish was made.
  bool run() {
    bool made = false;
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      Node& node = g_.nodes[i];
      if (const auto inner = sixth_of(node)) {
        if (const auto x = clipped_plus_three(*inner)) {
          become(node, "HardSigmoid", *x);
          set_attribute(node, "alpha", static_cast<float>(kSixth));
          set_attribute(node, "beta", 0.5f);
        } else if (const Node* product = sole_producer(*inner, "Mul")) {
          if (const auto y = times(*product, [&](ValueId v) { return clipped_plus_three(v); }))
            made |= become(node, "HardSwish", *y);
        }
      } else if (is(node, "Mul")) {
        if (const auto x = times(node, [&](ValueId v) { return hard_sigmoid(v); }))
          made |= become(node, "HardSwish", *x);
      }
    }
    return made;
  }

 private:
  static bool become(Node& node, std::string type, ValueId x) {
    node.type = std::move(type);
    node.inputs = {x};
    node.attributes.clear();
    return true;
  }

  bool is_number(ValueId v, double number) const {
    const Tensor* t = constant(g_, v);
    return t && t->dtype() == DType::kFloat && t->size() == 1 && t->rank() <= 1 &&
           std::fabs(t->number(0) - number) <= 1e-6;
  }

  // The node that makes `v`, when nothing else reads it.
  const Node* sole_producer(ValueId v, std::string_view type) const {
    const int32_t p = uses_.producer[index(v)];
    if (p < 0 || sole_consumer(uses_, v) < 0) return nullptr;
    const Node& node = g_.nodes[static_cast<size_t>(p)];
    return is(node, type) ? &node : nullptr;
  }

  // What a Div by 6 or a Mul by 1/6 scales.
  std::optional<ValueId> sixth_of(const Node& node) const {
    if (is(node, "Div") && is_number(node.inputs[1], 6)) return node.inputs[0];
    if (!is(node, "Mul")) return std::nullopt;
    if (is_number(node.inputs[1], kSixth)) return node.inputs[0];
    if (is_number(node.inputs[0], kSixth)) return node.inputs[1];
    return std::nullopt;
  }

  // x of clip(x + 3, 0, 6).
  std::optional<ValueId> clipped_plus_three(ValueId v) const {
    const Node* clip = sole_producer(v, "Clip");
    if (!clip || clip->inputs.size() != 3 || !is_number(clip->inputs[1], 0) ||
        !is_number(clip->inputs[2], 6))
      return std::nullopt;
    const Node* add = sole_producer(clip->inputs[0], "Add");
    if (!add) return std::nullopt;
    if (is_number(add->inputs[1], 3)) return add->inputs[0];
    if (is_number(add->inputs[0], 3)) return add->inputs[1];
    return std::nullopt;
  }

  std::optional<ValueId> hard_sigmoid(ValueId v) const {
    const Node* node = sole_producer(v, "HardSigmoid");
    if (!node || std::fabs(attr_float(*node, "alpha", 0.2f) - kSixth) > 1e-6 ||
        attr_float(*node, "beta", 0.5f) != 0.5f)
      return std::nullopt;
    return node->inputs[0];
  }

  // x of x · gate(x), in either order.
  template <typename Gate>
  std::optional<ValueId> times(const Node& mul, Gate gate) const {
    for (size_t i : {size_t{0}, size_t{1}}) {
      const auto x = gate(mul.inputs[i]);
      if (x && *x == mul.inputs[1 - i]) return x;
    }
    return std::nullopt;
  }

  Graph& g_;
  Uses uses_;
};

bool may_hold_hard_swish(const Graph& g) {
  bool product = false, gate = false;
  for (const Node& node : g.nodes) {
    product |= is(node, "Mul");
    gate |= is(node, "Clip") || is(node, "HardSigmoid");
  }
  return product && gate;
}

}  // namespace

void fuse_hard_swish(Model& model) {
  if (!may_hold_hard_swish(model.graph)) return;
  Model fused = model;
  if (!Fusion(fused).run()) return;
  // The newer opset is only worth it when something was found.
  if (model.opset() < kHardSwishOpset) {
    auto newer = at_opset(model, kHardSwishOpset);
    if (!newer) return;
    fused = std::move(*newer);
    Fusion(fused).run();
  }
  remove_dead(fused.graph);
  model = std::move(fused);
}

}  // namespace qtool::passes
