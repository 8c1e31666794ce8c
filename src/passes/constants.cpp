#include <algorithm>
#include <cstring>

#include "graph/subgraphs.hpp"
#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {

int32_t sole_consumer(const Uses& uses, ValueId value) {
  const auto& consumers = uses.consumers[index(value)];
  return consumers.size() == 1 && !uses.is_output[index(value)] ? consumers[0] : -1;
}

const Tensor* own_constant(const Graph& graph, const Uses& uses, ValueId id) {
  const Tensor* t = constant(graph, id);
  return t && t->dtype() == DType::kFloat && sole_consumer(uses, id) >= 0 ? t : nullptr;
}

void drop_initializer_inputs(Model& model) {
  Graph& g = model.graph;
  std::erase_if(g.inputs, [&](ValueId v) { return g.initializers.contains(v); });
  model.ir_version = std::max<int64_t>(model.ir_version, 4);  // IR 3 wants them listed
}

void constants_to_initializers(Model& model) {
  Graph& g = model.graph;
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    if (!is(node, "Constant") || find_attribute(node, "sparse_value")) continue;
    g.initializers[node.outputs[0]].data = std::move(eval_node(node, model.opset(), {})[0]);
    gone.push_back(static_cast<int32_t>(i));
  }
  remove_nodes(g, gone);
}

void remove_identities(Model& model) {
  Graph& g = model.graph;
  const Uses uses = uses_of(g);
  std::vector<int32_t> gone;
  std::map<ValueId, ValueId> becomes;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    const bool dropout = is(node, "Dropout") &&
                         (node.inputs.size() < 3 || node.inputs[2] == ValueId::kNone) &&
                         (node.outputs.size() < 2 || node.outputs[1] == ValueId::kNone ||
                          uses.consumers[index(node.outputs[1])].empty());
    if (!is(node, "Identity") && !dropout) continue;
    // A graph output keeps its name, so the node that makes it stays.
    if (uses.is_output[index(node.outputs[0])]) continue;
    becomes[node.outputs[0]] = node.inputs[0];
    gone.push_back(static_cast<int32_t>(i));
  }
  replace_uses(g, becomes);
  remove_nodes(g, gone);
}

void remove_identities_in_bodies(Model& model) {
  change_bodies(model, [](Model& body, const Node&) {
    remove_identities(body);
    remove_identities_in_bodies(body);
  });
}

namespace {

// Whether the node gives the same result every time: a random operator does not, nor does one with a
// random operator or an unknown one in a graph that it carries.
bool is_deterministic(const Model& model, const Node& node) {
  const OpDef* op = find_op(node.type, node.domain, model.opset(node.domain));
  if (!op || !op->deterministic) return false;
  return std::ranges::all_of(node.attributes, [&](const Attribute& attribute) {
    const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
    return !body || std::ranges::all_of((*body)->nodes, [&](const Node& inner) {
      return is_deterministic(model, inner);
    });
  });
}

// Everything that the node reads, itself or in its graphs, is constant.
bool reads_constants(const Graph& g, const Node& node) {
  const auto constant = [&](ValueId v) { return v == ValueId::kNone || g.constant(v); };
  return std::ranges::all_of(node.inputs, constant) &&
         std::ranges::all_of(captured_names(node), [&](const std::string& name) {
           return g.constant(g.find(name)) != nullptr;
         });
}

// Codes of more elements than this are left as codes: their floats take four times as much memory or more.
constexpr int64_t kMostFolded = int64_t{1} << 22;

std::vector<Tensor> eval_constant_node(const Model& model, const Node& node) {
  const Graph& g = model.graph;
  std::vector<Tensor> inputs;
  for (ValueId v : node.inputs) inputs.push_back(v == ValueId::kNone ? Tensor() : *g.constant(v));
  const BodyRunner run_body = [&](const Graph& body, std::vector<Tensor> arguments) {
    return eval_graph(body, model.opsets, std::move(arguments),
                      [&](const std::string& name) { return *g.constant(g.find(name)); });
  };
  return eval_node(node, model.opset(node.domain), inputs, &run_body);
}

}  // namespace

void fold_zero_products(Model& model) {
  Graph& g = model.graph;
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    if (!is(node, "Mul") || node.inputs.size() != 2) continue;
    for (const size_t slot : {size_t{0}, size_t{1}}) {
      const Tensor* zero = constant(g, node.inputs[slot]);
      const Value& other = g.value(node.inputs[1 - slot]);
      if (!zero || !is_integer(zero->dtype()) || !other.shape || !is_static(*other.shape)) continue;
      const Tensor none(zero->dtype(), zero->shape());
      if (zero->bytes() > 0 &&
          std::memcmp(zero->raw(), none.raw(), static_cast<size_t>(zero->bytes())) != 0)
        continue;
      g.initializers[node.outputs[0]].data =
          Tensor(zero->dtype(), broadcast(zero->shape(), *other.shape));
      gone.push_back(static_cast<int32_t>(i));
      break;
    }
  }
  remove_nodes(g, gone);
}

void fold_constants(Model& model, Dequantized dequantized) {
  Graph& g = model.graph;
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    if (node.inputs.empty() || !is_deterministic(model, node)) continue;
    if (!reads_constants(g, node)) continue;
    if (is(node, "DequantizeLinear") &&
        (dequantized == Dequantized::kKeep || g.constant(node.inputs[0])->size() > kMostFolded))
      continue;
    std::vector<Tensor> results = eval_constant_node(model, node);
    // Only tensors can be initializers.
    if (std::ranges::any_of(results, [](const Tensor& t) { return is_container(t.dtype()); }))
      continue;
    for (size_t k = 0; k < node.outputs.size() && k < results.size(); ++k) {
      if (node.outputs[k] != ValueId::kNone)
        g.initializers[node.outputs[k]].data = std::move(results[k]);
    }
    gone.push_back(static_cast<int32_t>(i));
  }
  remove_nodes(g, gone);
}

}  // namespace qtool::passes
