// A QuantizeLinear whose codes only a DequantizeLinear of the same parameters reads, and that no layer takes as codes,
// is one function of single elements: codes are not written and read again. Rounding is monotone, so a Clip or Relu
// in front of it is a clamp of its codes.
#include <algorithm>
#include <cmath>

#include "passes/passes.hpp"

namespace qtool::passes {
namespace {

constexpr size_t kScale = 1, kZeroPoint = 2;

const Tensor* input_constant(const Graph& g, const Node& node, size_t i) {
  return i < node.inputs.size() ? constant(g, node.inputs[i]) : nullptr;
}

// One number for the whole value, or none in both.
bool same_number(const Graph& g, const Node& a, const Node& b, size_t i) {
  const auto given = [i](const Node& n) {
    return i < n.inputs.size() && n.inputs[i] != ValueId::kNone;
  };
  if (!given(a) && !given(b)) return true;
  const Tensor *p = input_constant(g, a, i), *q = input_constant(g, b, i);
  return p && q && p->size() == 1 && q->size() == 1 && p->dtype() == q->dtype() &&
         p->number(0) == q->number(0);
}

// Codes less the zero point.
struct Codes {
  double low, high;
};

std::optional<Codes> codes_of(const Graph& g, const Node& quantize) {
  const Tensor* zero = input_constant(g, quantize, kZeroPoint);
  const DType type = zero ? zero->dtype()
                          : static_cast<DType>(attr_int(quantize, "output_dtype",
                                                        static_cast<int64_t>(DType::kUint8)));
  if (!is_integer(type) || dtype_bits(type) > 16) return {};
  const double levels = std::ldexp(1, dtype_bits(type)), low = is_signed(type) ? -levels / 2 : 0,
               origin = zero ? zero->number(0) : 0;
  return Codes{low - origin, low + levels - 1 - origin};
}

// What a Clip or Relu leaves of them; nothing where it is another node or its bounds are not known.
std::optional<Codes> clamped(const Graph& g, const Node& node, Codes codes, float scale) {
  const auto code = [scale](double real) {
    return static_cast<double>(std::nearbyint(static_cast<float>(real) / scale));
  };
  if (is(node, "Relu")) return Codes{std::max(codes.low, 0.0), codes.high};
  if (!is(node, "Clip")) return {};
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (node.inputs[i] == ValueId::kNone) continue;
    const Tensor* bound = input_constant(g, node, i);
    if (!bound || bound->size() != 1) return {};
    if (i == 1)
      codes.low = std::max(codes.low, code(bound->number(0)));
    else
      codes.high = std::min(codes.high, code(bound->number(0)));
  }
  return codes.low <= codes.high ? std::optional(codes) : std::nullopt;
}

class Fusion {
 public:
  Fusion(Graph& graph, const std::set<std::string>& observe)
      : g_(graph), observe_(observe), uses_(uses_of(graph)) {}

  void run() {
    for (Node& node : g_.nodes)
      if (is(node, "QuantizeLinear")) fuse(node);
    std::sort(gone_.begin(), gone_.end());
    remove_nodes(g_, gone_);
    sort_nodes(g_);
  }

 private:
  bool is_observed(ValueId v) const { return observe_.contains(g_.value(v).name); }

  void fuse(Node& quantize) {
    const int32_t next = sole_consumer(uses_, quantize.outputs[0]);
    if (next < 0 || is_observed(quantize.outputs[0])) return;
    const Node& back = g_.nodes[static_cast<size_t>(next)];
    const Tensor* scale = input_constant(g_, quantize, kScale);
    std::optional<Codes> codes = codes_of(g_, quantize);
    if (!codes || !scale || scale->dtype() != DType::kFloat || !is(back, "DequantizeLinear") ||
        find_attribute(quantize, "precision") || find_attribute(back, "output_dtype") ||
        g_.value(quantize.inputs[0]).dtype != DType::kFloat ||
        !same_number(g_, quantize, back, kScale) || !same_number(g_, quantize, back, kZeroPoint))
      return;
    std::string names = back.name + "\n";
    gone_.push_back(next);
    ValueId from = quantize.inputs[0];
    for (int32_t p = uses_.producer[index(from)];
         p >= 0 && sole_consumer(uses_, from) >= 0 && !is_observed(from);
         p = uses_.producer[index(from)]) {
      const Node& before = g_.nodes[static_cast<size_t>(p)];
      const auto narrower = clamped(g_, before, *codes, scale->data<float>()[0]);
      if (!narrower) break;
      codes = narrower;
      names += before.name + "\n";
      gone_.push_back(p);
      from = before.inputs[0];
    }
    quantize.type = "FakeQuantize";
    quantize.domain = "qtool";
    quantize.inputs = {from, quantize.inputs[kScale]};
    quantize.outputs = back.outputs;
    quantize.attributes = {{"low", static_cast<int64_t>(codes->low), ""},
                           {"high", static_cast<int64_t>(codes->high), ""},
                           {"fused_from", names, ""}};
  }

  Graph& g_;
  const std::set<std::string>& observe_;
  const Uses uses_;
  std::vector<int32_t> gone_;
};

}  // namespace

void fuse_quantizers(Model& model, const std::set<std::string>& observe) {
  model.opsets["qtool"] = 1;
  Fusion(model.graph, observe).run();
}

}  // namespace qtool::passes
