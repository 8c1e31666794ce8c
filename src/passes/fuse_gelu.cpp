// x · (1 + erf(x / √2)) / 2, as exporters spell Gelu before opset 20, becomes one node for execution.
#include <cmath>
#include <numbers>

#include "passes/passes.hpp"

namespace qtool::passes {
namespace {

// The nodes of one such chain, and the values at its ends.
struct Chain {
  ValueId input = ValueId::kNone, result = ValueId::kNone;
  std::vector<int32_t> nodes;
};

class Matcher {
 public:
  Matcher(const Graph& graph, const std::set<std::string>& observe)
      : g_(graph), uses_(uses_of(graph)), observe_(observe) {}

  std::optional<Chain> match(int32_t erf) const {
    if (!is(node(erf), "Erf") || node(erf).inputs[0] == ValueId::kNone) return std::nullopt;
    const int32_t inner = uses_.producer[index(node(erf).inputs[0])];
    const int32_t sum = reader(erf);
    if (inner < 0 || sum < 0 || reader(inner) != erf) return std::nullopt;
    const ValueId x = scaled_input(inner);
    if (x == ValueId::kNone || other_than(sum, "Add", 1) == ValueId::kNone) return std::nullopt;
    Chain chain{x, ValueId::kNone, {inner, erf, sum}};
    return close(chain, sum) ? std::optional(chain) : std::nullopt;
  }

 private:
  const Node& node(int32_t i) const { return g_.nodes[static_cast<size_t>(i)]; }

  // The one node that reads the result of node i, when nobody else sees it; −1 otherwise.
  int32_t reader(int32_t i) const {
    const ValueId v = node(i).outputs[0];
    return observe_.contains(g_.value(v).name) ? -1 : sole_consumer(uses_, v);
  }

  bool is_number(ValueId v, double number) const {
    const Tensor* t = constant(g_, v);
    return t && t->dtype() == DType::kFloat && t->size() == 1 && t->rank() <= 1 &&
           std::abs(t->number(0) - number) < 1e-5;
  }

  // The operand of node i that is not the constant `number`; kNone when the node is anything else.
  ValueId other_than(int32_t i, std::string_view type, double number) const {
    const Node& n = node(i);
    if (!is(n, type) || n.inputs.size() != 2) return ValueId::kNone;
    if (is_number(n.inputs[1], number)) return n.inputs[0];
    return !is(n, "Div") && is_number(n.inputs[0], number) ? n.inputs[1] : ValueId::kNone;
  }

  // x where node i is x / √2.
  ValueId scaled_input(int32_t i) const {
    const ValueId x = other_than(i, "Div", std::numbers::sqrt2);
    return x != ValueId::kNone ? x : other_than(i, "Mul", std::numbers::sqrt2 / 2);
  }

  // The products behind 1 + erf: with x and one half in any order.
  bool close(Chain& chain, int32_t sum) const {
    const int32_t first = reader(sum);
    if (first < 0 || !is_product(first)) return false;
    const ValueId from = node(sum).outputs[0];
    chain.nodes.push_back(first);
    if (is_number(other(first, from), 0.5)) {
      const int32_t second = reader(first);
      return second >= 0 && is_product(second) &&
             other(second, node(first).outputs[0]) == chain.input && end(chain, second);
    }
    if (other(first, from) == chain.input) {
      const int32_t second = reader(first);
      return second >= 0 && is_product(second) &&
             is_number(other(second, node(first).outputs[0]), 0.5) && end(chain, second);
    }
    const int32_t half = uses_.producer[index(other(first, from))];
    if (half < 0 || reader(half) != first || other_than(half, "Mul", 0.5) != chain.input)
      return false;
    chain.nodes.push_back(half);
    chain.result = node(first).outputs[0];
    return true;
  }

  bool end(Chain& chain, int32_t last) const {
    chain.nodes.push_back(last);
    chain.result = node(last).outputs[0];
    return true;
  }

  bool is_product(int32_t i) const {
    const Node& n = node(i);
    return is(n, "Mul") && n.inputs.size() == 2 && n.inputs[0] != ValueId::kNone &&
           n.inputs[1] != ValueId::kNone;
  }

  ValueId other(int32_t i, ValueId operand) const {
    return node(i).inputs[0] == operand ? node(i).inputs[1] : node(i).inputs[0];
  }

  const Graph& g_;
  const Uses uses_;
  const std::set<std::string>& observe_;
};

}  // namespace

void fuse_gelu(Model& model, const std::set<std::string>& observe) {
  Graph& g = model.graph;
  const Matcher matcher(g, observe);
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const auto chain = matcher.match(static_cast<int32_t>(i));
    if (!chain) continue;
    Node& node = g.nodes[i];  // the Erf; everything else goes
    node.type = "Gelu";
    node.inputs = {chain->input};
    node.outputs = {chain->result};
    std::string names;
    for (const int32_t n : chain->nodes) {
      if (n == static_cast<int32_t>(i)) continue;
      gone.push_back(n);
      names += g.nodes[static_cast<size_t>(n)].name + "\n";
    }
    set_attribute(node, "fused_from", names);
  }
  if (gone.empty()) return;
  remove_nodes(g, gone);
  sort_nodes(g);
}

}  // namespace qtool::passes
