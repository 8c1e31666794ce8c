#include "qtool/integer_only.hpp"

#include <algorithm>
#include <set>

#include "graph/subgraphs.hpp"
#include "passes/integer_sums.hpp"
#include "passes/lower_qdq.hpp"
#include "passes/requantize.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

using namespace passes;

using Reasons = std::vector<std::pair<std::string, std::string>>;

// Rewrites the operators of a lowered graph one by one.
class IntegerNodes {
 public:
  explicit IntegerNodes(IntegerOnly& result)
      : result_(result), g_(result.model.graph), out_(g_), sums_(g_, out_) {}

  void run() {
    std::vector<int32_t> replaced;
    const size_t count = g_.nodes.size();
    for (size_t i = 0; i < count; ++i) {
      const Node node = g_.nodes[i];
      try {
        if (!rewrite(node)) continue;
        replaced.push_back(static_cast<int32_t>(i));
      } catch (const Refusal& refusal) {
        refused_.emplace_back(node.name, refusal.reason);
      }
    }
    result_.multiplier_error = out_.largest_error();
    remove_nodes(g_, replaced);
    sort_nodes(g_);
    remove_dead(g_);
  }
  const Reasons& refused() const { return refused_; }

 private:
  // Whether nodes were appended in its place.
  bool rewrite(const Node& n) {
    if (is(n, "QLinearConv")) return convolution(n), true;
    if (is(n, "QLinearMatMul")) return product(n, 6), true;
    if (n.type == "QGemm" || n.type == "QMatMul") return product(n, 7), true;
    if (n.type == "QLinearAdd") return add(n), true;
    if (n.type == "QLinearMul") return multiply(n), true;
    if (n.type == "QLinearConcat") return concat(n), true;
    if (n.type == "QLinearGlobalAveragePool" || n.type == "QLinearAveragePool")
      return average(n), true;
    if (is(n, "QuantizeLinear")) return requantize(n);
    if (is(n, "DynamicQuantizeLinear")) throw Refusal{"it finds its scale at run time, in float"};
    return false;
  }

  void convolution(const Node& n) {
    const Operand x = sums_.operand(n, 0), w = sums_.operand(n, 3);
    const ValueId bias = n.inputs.size() > 8 ? n.inputs[8] : ValueId::kNone;
    const IntegerSum sum = sums_.convolution(n, x, w, bias);
    accumulated(n, sum);
    codes(n, {sums_.term(sum, x.scale, w.scales)}, sum.by_channel, 6);
  }

  void product(const Node& n, size_t result) {
    const Operand a = sums_.operand(n, 0), b = sums_.operand(n, 3);
    const ValueId bias = result > 6 && n.inputs.size() > 6 ? n.inputs[6] : ValueId::kNone;
    const IntegerSum sum = sums_.product(n, a, b, bias);
    accumulated(n, sum);
    const double alpha = attr_float(n, "alpha", 1);
    if (n.inputs.size() > result + 1)
      return codes(n, {sums_.term(sum, alpha * a.scale, b.scales)}, sum.by_channel, result);
    std::vector<float> scales;
    for (double s : b.scales) scales.push_back(static_cast<float>(alpha * a.scale * s));
    const Shape shape = scales.size() == 1 ? Shape{} : Shape{static_cast<int64_t>(scales.size())};
    const ValueId scale = add_initializer(g_, n.name + "_scale", Tensor::of(shape, scales)),
                  zero = add_initializer(g_, n.name + "_zero_point", Tensor(DType::kInt32, shape));
    g_.nodes.push_back(make_node(g_, n.name + "_DequantizeLinear", "DequantizeLinear",
                                 {sum.value, scale, zero}, {n.outputs[0]}));
    set_attribute(g_.nodes.back(), "axis", int64_t{-1});
  }

  void add(const Node& n) {
    const Operand a = sums_.operand(n, 0), b = sums_.operand(n, 3);
    codes(n, {sums_.term(a), sums_.term(b)}, {}, 6);
  }

  void multiply(const Node& n) {
    const Operand a = sums_.operand(n, 0), b = sums_.operand(n, 3);
    const IntegerSum products = sums_.elementwise_product(n, a, b);
    codes(n, {sums_.term(products, a.scale, b.scales)}, {}, 6);
  }

  void average(const Node& n) {
    const Operand x = sums_.operand(n, 0);
    int64_t positions = 0;
    const IntegerSum sum = n.type == "QLinearAveragePool" ? sums_.window(n, x, positions)
                                                          : sums_.plane(n, x, positions);
    codes(n, {sums_.term(sum, x.scale, {1 / static_cast<double>(positions)})}, {}, 3);
  }

  void concat(const Node& n) {
    const Operand y = sums_.parameters(n, n.inputs[0], n.inputs[1], ValueId::kNone);
    Node joined = n;
    joined.type = "Concat";
    joined.domain.clear();
    joined.inputs.clear();
    for (size_t i = 2; i + 2 < n.inputs.size(); i += 3) {
      const Operand x = sums_.operand(n, i);
      ValueId part = x.codes;
      if (x.scale != y.scale || x.zero != y.zero) {
        part = add_value(g_, cat(g_.value(n.outputs[0]).name, "_part"), y.type);
        requantize_to(part, x, y);
      }
      joined.inputs.push_back(part);
    }
    g_.nodes.push_back(std::move(joined));
    result_.requantized.push_back(g_.value(n.outputs[0]).name);
  }

  // Codes that are made real only to become codes of another scale.
  bool requantize(const Node& n) {
    const auto from = std::ranges::find_if(g_.nodes, [&](const Node& m) {
      return is(m, "DequantizeLinear") && m.outputs[0] == n.inputs[0];
    });
    if (from == g_.nodes.end() || g_.constant(from->inputs[0])) return false;
    const Node dequantize = *from;
    const Operand x = sums_.operand(dequantize, 0);
    const Operand y = sums_.parameters(
        n, n.inputs[1], n.inputs.size() > 2 ? n.inputs[2] : ValueId::kNone, n.outputs[0]);
    requantize_to(n.outputs[0], x, y);
    result_.requantized.push_back(g_.value(n.outputs[0]).name);
    return true;
  }

  void requantize_to(ValueId codes, const Operand& x, const Operand& y) {
    Term term = sums_.term(x);
    term.ratios[0] /= y.scale;
    out_.append({term}, {}, {codes, y.type, y.zero, y.lowest, y.highest});
  }

  // The terms as codes with the parameters at inputs `scale` and behind; their ratios are still scales.
  void codes(const Node& n, std::vector<Term> terms, const Shape& by_channel, size_t scale) {
    const Operand y = sums_.parameters(n, n.inputs[scale], n.inputs[scale + 1], n.outputs[0]);
    for (Term& term : terms)
      for (double& ratio : term.ratios) ratio /= y.scale;
    out_.append(terms, by_channel,
                {n.outputs[0], y.type, y.zero, attr_int(n, "code_min", y.lowest),
                 attr_int(n, "code_max", y.highest)});
    result_.requantized.push_back(g_.value(n.outputs[0]).name);
  }

  void accumulated(const Node& n, const IntegerSum& sum) {
    result_.accumulators.push_back({n.name, g_.value(sum.value).name, sum.lowest, sum.highest});
  }

  IntegerOnly& result_;
  Graph& g_;
  Requantizer out_;
  IntegerSums sums_;
  Reasons refused_;
};

// Which nodes compute in float: on what comes from codes, on what becomes codes.
class FloatNodes {
 public:
  explicit FloatNodes(const Graph& graph) : g_(graph) {
    for (const Node& n : g_.nodes) {
      const bool quantizes = is(n, "QuantizeLinear");
      const bool opens = is(n, "DequantizeLinear") && !g_.constant(n.inputs[0]);
      if (quantizes || (!opens && !touches(n.inputs, behind_))) continue;
      behind_.insert(n.outputs.begin(), n.outputs.end());
    }
    for (auto n = g_.nodes.rbegin(); n != g_.nodes.rend(); ++n) {
      const bool closes = is(*n, "DequantizeLinear") && !g_.constant(n->inputs[0]);
      if (closes || (!is(*n, "QuantizeLinear") && !touches(n->outputs, ahead_))) continue;
      ahead_.insert(n->inputs.begin(), n->inputs.end());
    }
  }

  bool between_codes(const Node& n) const {
    return touches(n.inputs, behind_) && (is(n, "QuantizeLinear") || touches(n.outputs, ahead_));
  }
  bool beside_codes(const Node& n) const {
    if (is(n, "QuantizeLinear") || is(n, "DequantizeLinear")) return false;
    return touches(n.inputs, behind_) || touches(n.outputs, ahead_);
  }

 private:
  static bool touches(const std::vector<ValueId>& values, const std::set<ValueId>& set) {
    return std::ranges::any_of(values,
                               [&](ValueId v) { return v != ValueId::kNone && set.contains(v); });
  }

  const Graph& g_;
  std::set<ValueId> behind_, ahead_;
};

// Whether the graph, or one inside of it, makes codes.
bool makes_codes(const Graph& g) {
  return std::ranges::any_of(g.nodes, [](const Node& n) {
    return is(n, "QuantizeLinear") || std::ranges::any_of(subgraphs_of(n), [](const Graph* body) {
             return makes_codes(*body);
           });
  });
}

std::string reason_of(const std::vector<LayerStatus>& layers, const std::string& name) {
  const auto at = std::ranges::find(layers, name, &LayerStatus::name);
  return at == layers.end() || at->reason.empty() ? "no integer operator for it" : at->reason;
}

void refuse(const Reasons& reasons) {
  constexpr size_t kShown = 5;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, reasons.size()); ++i) {
    text += cat(i ? "; '" : "'", printable(reasons[i].first), "': ", reasons[i].second);
  }
  if (reasons.size() > kShown) text += cat("; and ", reasons.size() - kShown, " more");
  throw Error(ErrorKind::kModel, "QT-E355", cat("integers alone do not compute this model: ", text))
      .hint("`--kernels integer` runs it with these parts in float");
}

}  // namespace

IntegerOnly integer_only(const Model& quantized) {
  constexpr int64_t kOpset = 13;  // ReduceSum takes axes as an input, Clip takes int64
  std::optional<Model> model = at_opset(quantized, kOpset);
  if (!model) refuse({{quantized.graph.name, cat("it has no form at opset ", kOpset)}});
  infer_shapes(*model);
  Lowered lowered = lower_qdq(*model);
  IntegerOnly result;
  result.model = std::move(lowered.model);
  result.layers = std::move(lowered.layers);
  IntegerNodes nodes(result);
  nodes.run();
  Reasons reasons = nodes.refused();
  const auto add = [&](const std::string& name, const std::string& why) {
    if (std::ranges::none_of(reasons, [&](const auto& r) { return r.first == name; }))
      reasons.emplace_back(name, why);
  };
  for (const Node& n : model->graph.nodes) {
    if (std::ranges::any_of(subgraphs_of(n), [](const Graph* body) { return makes_codes(*body); }))
      add(n.name, "there are layers on codes in its bodies, which are not followed there");
  }
  const FloatNodes floats(result.model.graph);
  for (const Node& n : result.model.graph.nodes) {
    const OpDef* op = find_op(n.type, n.domain, result.model.opset(n.domain));
    const bool layer = op && op->quant.kind == QuantKind::kLinear;
    if (layer || (floats.between_codes(n) && !is(n, "QuantizeLinear")))
      add(n.name, reason_of(result.layers, n.name));
    else if (floats.beside_codes(n))
      result.float_nodes.push_back(n.name);
  }
  for (const Node& n : result.model.graph.nodes) {
    if (reasons.empty() && is(n, "QuantizeLinear") && floats.between_codes(n))
      add(n.name, "it makes codes of reals that come from codes");
  }
  if (!reasons.empty()) refuse(reasons);
  verify(result.model.graph);
  return result;
}

}  // namespace qtool
