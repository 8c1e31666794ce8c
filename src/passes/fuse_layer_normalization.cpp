// (x − mean) / √(mean((x − mean)²) + ε) · scale + bias, as exporters spell LayerNormalization before opset
// 17, becomes one node: one kernel instead of nine, and no quantizer between its steps, whose ranges are
// those of squares.
#include <algorithm>
#include <cmath>

#include "passes/passes.hpp"
#include "qtool/onnx.hpp"

namespace qtool::passes {
namespace {

constexpr int64_t kOpset = 17;

struct Match {
  ValueId x = ValueId::kNone, scale = ValueId::kNone, bias = ValueId::kNone;
  float epsilon = 0;
  int32_t last = -1;  // the node that makes the result
};

class Matcher {
 public:
  explicit Matcher(const Graph& graph) : g_(graph), uses_(uses_of(graph)) {}

  // Of the chain that divides by node i, a Sqrt.
  std::optional<Match> match(int32_t i) const {
    if (!is(node(i), "Sqrt")) return std::nullopt;
    Match m;
    const int32_t sum = producer(node(i).inputs[0], "Add");
    if (sum < 0) return std::nullopt;
    const auto [variance, epsilon] = with_constant(sum);
    if (!epsilon || epsilon->size() != 1) return std::nullopt;
    m.epsilon = static_cast<float>(epsilon->number(0));
    const int32_t square = squared(mean_of_rows(variance));
    const int32_t quotient = sole_consumer(uses_, node(i).outputs[0]);
    if (square < 0 || quotient < 0 || !is(node(quotient), "Div") ||
        node(quotient).inputs[1] != node(i).outputs[0])
      return std::nullopt;
    const auto one = centred(node(square).inputs[0]), two = centred(node(quotient).inputs[0]);
    if (!one || one != two) return std::nullopt;
    m.x = *one;
    return close(m, quotient) ? std::optional(m) : std::nullopt;
  }

 private:
  const Node& node(int32_t i) const { return g_.nodes[static_cast<size_t>(i)]; }

  int32_t producer(ValueId v, std::string_view type) const {
    const int32_t i = v == ValueId::kNone ? -1 : uses_.producer[index(v)];
    return i >= 0 && is(node(i), type) ? i : -1;
  }

  // The operand of an Add or Mul that is computed, and the constant one.
  std::pair<ValueId, const Tensor*> with_constant(int32_t i) const {
    for (const size_t side : {size_t{0}, size_t{1}}) {
      const Tensor* t = constant(g_, node(i).inputs[side]);
      if (t && t->dtype() == DType::kFloat) return {node(i).inputs[1 - side], t};
    }
    return {ValueId::kNone, nullptr};
  }

  // What the value is the mean of along the last dimension, which is kept.
  ValueId mean_of_rows(ValueId v) const {
    const int32_t i = producer(v, "ReduceMean");
    if (i < 0 || attr_int(node(i), "keepdims", 1) != 1) return ValueId::kNone;
    std::vector<int64_t> axes = attr_ints(node(i), "axes");
    const bool listed = node(i).inputs.size() > 1;
    if (const Tensor* t = listed ? constant(g_, node(i).inputs[1]) : nullptr) axes = t->to_int64s();
    const auto& shape = g_.value(node(i).inputs[0]).shape;
    const bool last =
        axes.size() == 1 &&
        (axes[0] == -1 || (shape && axes[0] == static_cast<int64_t>(shape->size()) - 1));
    return last ? node(i).inputs[0] : ValueId::kNone;
  }

  // The node that squares what it reads, where v is its result.
  int32_t squared(ValueId v) const {
    if (const int32_t power = producer(v, "Pow"); power >= 0) {
      const Tensor* exponent = constant(g_, node(power).inputs[1]);
      return exponent && exponent->size() == 1 && exponent->number(0) == 2 ? power : -1;
    }
    const int32_t product = producer(v, "Mul");
    return product >= 0 && node(product).inputs[0] == node(product).inputs[1] ? product : -1;
  }

  // x where the value is x − mean(x).
  std::optional<ValueId> centred(ValueId v) const {
    const int32_t i = producer(v, "Sub");
    if (i < 0 || mean_of_rows(node(i).inputs[1]) != node(i).inputs[0]) return std::nullopt;
    return node(i).inputs[0];
  }

  // Scale and bias behind the quotient, each one a column.
  bool close(Match& m, int32_t quotient) const {
    const int32_t product = sole_consumer(uses_, node(quotient).outputs[0]);
    if (product < 0 || !is(node(product), "Mul")) return false;
    const auto [normal, scale] = with_constant(product);
    const auto& shape = g_.value(m.x).shape;
    if (!scale || scale->rank() != 1 || !shape || shape->empty() || shape->back() != scale->dim(0))
      return false;
    m.scale = other(product, normal);
    m.last = product;
    const int32_t sum = sole_consumer(uses_, node(product).outputs[0]);
    if (sum < 0 || !is(node(sum), "Add")) return true;
    const auto [scaled, bias] = with_constant(sum);
    if (!bias || bias->shape() != scale->shape()) return true;
    m.bias = other(sum, scaled);
    m.last = sum;
    return true;
  }

  ValueId other(int32_t i, ValueId operand) const {
    return node(i).inputs[0] == operand ? node(i).inputs[1] : node(i).inputs[0];
  }

  const Graph& g_;
  const Uses uses_;
};

std::vector<Match> matches(const Graph& g) {
  std::vector<Match> found;
  const Matcher matcher(g);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    if (const auto match = matcher.match(static_cast<int32_t>(i))) found.push_back(*match);
  return found;
}

}  // namespace

void fuse_layer_normalization(Model& model) {
  if (std::ranges::none_of(model.graph.nodes, [](const Node& n) { return is(n, "Sqrt"); })) return;
  infer_shapes(model);
  if (matches(model.graph).empty()) return;
  auto newer = at_opset(model, kOpset);
  if (!newer) return;
  model = std::move(*newer);
  infer_shapes(model);
  Graph& g = model.graph;
  for (const Match& m : matches(g)) {
    Node& node = g.nodes[static_cast<size_t>(m.last)];
    node.type = "LayerNormalization";
    node.inputs = {m.x, m.scale};
    if (m.bias != ValueId::kNone) node.inputs.push_back(m.bias);
    node.attributes.clear();
    set_attribute(node, "axis", int64_t{-1});
    set_attribute(node, "epsilon", m.epsilon);
  }
  remove_dead(g);
}

}  // namespace qtool::passes
