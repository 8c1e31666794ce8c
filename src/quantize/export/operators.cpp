// The export styles "qoperator" and "integer": the lowered forms, which `eval` runs, in operators that ONNX
// and onnxruntime (com.microsoft) define.
#include <algorithm>

#include "graph/append_node.hpp"
#include "graph/subgraphs.hpp"
#include "qtool/integer_only.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

constexpr const char* kMicrosoft = "com.microsoft";

[[noreturn]] void refuse(const std::string& node, const std::string& why) {
  throw Error(ErrorKind::kUsage, "QT-E132",
              cat("node '", printable(node), "' has no form as a quantized operator: ", why))
      .hint("use --export qdq, or keep the node in float with --keep NAME=float");
}

class OperatorNodes {
 public:
  explicit OperatorNodes(Model& model) : g_(model.graph) {}

  void run() {
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      Node node = g_.nodes[i];
      if (find_attribute(node, "code_min")) clamp(node);
      if (node.domain == "qtool") {
        // Lookup has codes and a table, QMatMul two sides with their parameters.
        node.inputs.size() == 2 ? lookup(node) : product(node);
      } else if (node.domain == kMicrosoft) {
        remove_attribute(node, "beta");  // of QGemm, where it is 1
        if (!find_op(node.type, kMicrosoft, 1))
          refuse(node.name, cat("there is no operator ", printable(node.type)));
      }
      g_.nodes[i] = std::move(node);
    }
    sort_nodes(g_);
    remove_dead(g_);
    verify(g_);
  }

 private:
  ValueId append(const std::string& name, const char* type, std::vector<ValueId> inputs,
                 DType dtype, const std::optional<Shape>& shape) {
    return append_node(g_, name, type, std::move(inputs), dtype, shape);
  }

  ValueId cast(const std::string& name, ValueId value, DType to) {
    const ValueId out = append(name, "Cast", {value}, to, g_.value(value).shape);
    set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(to));
    return out;
  }

  // What an activation behind the node means in codes: no operator has it as an attribute.
  void clamp(Node& node) {
    const ValueId codes = node.outputs[0];
    const DType type = g_.value(codes).dtype;
    const std::string name = g_.value(codes).name;
    const auto bound = [&](const char* which) {
      Tensor code(type, {});
      code.set_number(0, static_cast<double>(attr_int(node, which, 0)));
      return add_initializer(g_, cat(name, "_", which), std::move(code));
    };
    const ValueId low = bound("code_min"), high = bound("code_max");
    node.outputs[0] = add_value(g_, name + "_unclipped", type, g_.value(codes).shape);
    g_.nodes.push_back(
        make_node(g_, name + "_Clip", "Clip", {node.outputs[0], low, high}, {codes}));
    remove_attribute(node, "code_min");
    remove_attribute(node, "code_max");
  }

  // A negative code counts from the table's end, which is where its bits stand.
  void lookup(Node& node) {
    const ValueId wide = cast(node.name + "_indices", node.inputs[0], DType::kInt32);
    node.type = "Gather";
    node.domain.clear();
    node.inputs = {node.inputs[1], wide};
    node.attributes.clear();
  }

  // Codes and parameters of both sides, no bias, and the result's parameters where it is codes.
  void product(Node& node) {
    node.domain.clear();
    node.inputs.erase(node.inputs.begin() + 6);
    if (node.inputs.size() == 8) {
      node.type = "QLinearMatMul";
      return;
    }
    const std::vector<ValueId> in = node.inputs;
    const ValueId real = node.outputs[0];
    const ValueId sums = add_value(g_, node.name + "_sums", DType::kInt32, g_.value(real).shape);
    node.type = "MatMulInteger";
    node.inputs = {in[0], in[3], in[2], in[5]};
    node.outputs = {sums};
    const Tensor &a = *g_.constant(in[1]), &b = *g_.constant(in[4]);
    Tensor product(DType::kFloat, b.shape());
    for (int64_t i = 0; i < b.size(); ++i)
      product.mutable_data<float>()[static_cast<size_t>(i)] =
          a.data<float>()[0] * b.data<float>()[static_cast<size_t>(i)];
    const ValueId scale = add_initializer(g_, node.name + "_scale", std::move(product));
    const ValueId scaled = cast(node.name + "_sums_float", sums, DType::kFloat);
    g_.nodes.push_back(make_node(g_, node.name + "_Mul", "Mul", {scaled, scale}, {real}));
  }

  Graph& g_;
};

// Weights that are still codes behind DequantizeLinear: in blocks, of layers that read floats or 16 bits.
void refuse_weight_codes(const Model& model, const std::vector<LayerStatus>& layers) {
  const auto status = [&](const std::string& name) {
    const auto at = std::ranges::find(layers, name, &LayerStatus::name);
    return at == layers.end() || at->reason.empty() ? std::string("it computes in float")
                                                    : at->reason;
  };
  const Graph& g = model.graph;
  const Uses uses = uses_of(g);
  for (const Node& node : g.nodes) {
    if (!is(node, "DequantizeLinear")) continue;
    const Tensor* codes = g.constant(node.inputs[0]);
    if (!codes || codes->rank() < 2) continue;
    const auto& readers = uses.consumers[index(node.outputs[0])];
    const std::string& name =
        readers.empty() ? node.name : g.nodes[static_cast<size_t>(readers[0])].name;
    refuse(name, status(name));
  }
  visit_bodies(model, [&](const Model& body, const Node&) { refuse_weight_codes(body, layers); });
}

void rewrite(Model& m) {
  OperatorNodes(m).run();
  change_bodies(m, [](Model& body, const Node&) { rewrite(body); });
}

bool has_microsoft(const Graph& g) {
  return std::ranges::any_of(g.nodes, [](const Node& n) {
    return n.domain == kMicrosoft || std::ranges::any_of(subgraphs_of(n), [](const Graph* body) {
             return has_microsoft(*body);
           });
  });
}

Model in_known_operators(Model m) {
  rewrite(m);
  m.opsets.erase("qtool");
  if (!has_microsoft(m.graph)) m.opsets.erase(kMicrosoft);
  return m;
}

}  // namespace

Model to_operators(const Model& quantized) {
  Lowered lowered = lower_qdq(quantized);
  refuse_weight_codes(lowered.model, lowered.layers);
  return in_known_operators(std::move(lowered.model));
}

Model to_integers(const Model& quantized) {
  return in_known_operators(integer_only(quantized).model);
}

}  // namespace qtool::qdq
