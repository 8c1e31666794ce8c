#include <algorithm>

#include "graph/subgraphs.hpp"
#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {
namespace {

using SharedGraph = std::shared_ptr<const Graph>;
using Lifted = std::vector<ValueId>;  // of the main graph

bool is_capture(const Graph& g, ValueId v) {
  return std::find(g.captures.begin(), g.captures.end(), v) != g.captures.end();
}

// The body's value that stands for one of the main graph.
ValueId capture(Graph& body, const Value& outer) {
  const ValueId local = body.find(outer.name);
  if (local != ValueId::kNone && is_capture(body, local)) return local;
  if (local != ValueId::kNone) rename_value(body, local, outer.name + "_inner");
  Value inner;
  inner.name = outer.name;
  inner.dtype = outer.dtype;
  inner.shape = outer.shape;
  body.values.push_back(std::move(inner));
  body.captures.push_back(static_cast<ValueId>(body.values.size() - 1));
  return body.captures.back();
}

class Lifter {
 public:
  explicit Lifter(Model& model) : model_(model) {}

  void run() {
    for (Node& node : model_.graph.nodes) lift(node, node.name);
  }

 private:
  // Takes the weights out of the node's bodies, at every depth.
  Lifted lift(Node& node, const std::string& path) {
    Lifted all;
    for (Attribute& attribute : node.attributes) {
      auto* shared = std::get_if<SharedGraph>(&attribute.value);
      if (!shared || !*shared) continue;
      auto body = std::make_shared<Graph>(**shared);
      const Lifted lifted = lift_body(*body, path);
      if (lifted.empty()) continue;
      *shared = std::move(body);
      all.insert(all.end(), lifted.begin(), lifted.end());
    }
    return all;
  }

  Lifted lift_body(Graph& body, const std::string& path) {
    Lifted lifted;
    std::map<ValueId, ValueId> becomes;
    for (const ValueId v : weights_of(body)) {
      if (is_capture(body, v) || becomes.contains(v)) continue;
      Tensor data = constant_of(body, v);
      if (!data.defined() || data.rank() < 2) continue;
      lifted.push_back(
          add_initializer(model_.graph, cat(path, "/", body.value(v).name), std::move(data)));
      becomes[v] = capture(body, model_.graph.value(lifted.back()));
    }
    if (!becomes.empty()) {
      replace_uses(body, becomes, OutputUses::kKeep);
      remove_dead(body);
    }
    for (Node& node : body.nodes) {
      for (const ValueId outer : lift(node, cat(path, "/", node.name))) {
        capture(body, model_.graph.value(outer));
        lifted.push_back(outer);
      }
    }
    return lifted;
  }

  // What the body's own nodes read as weights, and what bodies inside it capture.
  std::vector<ValueId> weights_of(const Graph& body) const {
    std::vector<ValueId> values;
    for (const Node& node : body.nodes) {
      for (const int slot : weight_slots(node)) {
        if (static_cast<size_t>(slot) < node.inputs.size())
          values.push_back(node.inputs[static_cast<size_t>(slot)]);
      }
      for (const std::string& name : captured_names(node)) values.push_back(body.find(name));
    }
    std::erase(values, ValueId::kNone);
    return values;
  }

  std::vector<int> weight_slots(const Node& node) const {
    const OpDef* op = find_op(node.type, node.domain, model_.opset(node.domain));
    if (!op) return {};
    std::vector<int> slots;
    if (op->quant.weight_input >= 0) slots.push_back(op->quant.weight_input);
    for (const StoredInput& input : op->quant.stored)
      if (input.slot >= 0) slots.push_back(input.slot);
    return slots;
  }

  // What a body makes of constants alone, its own or those around the main graph's node, by moving or
  // casting them; undefined when it is none.
  Tensor constant_of(const Graph& body, ValueId v) const {
    if (const Tensor* own = body.constant(v)) return *own;
    if (is_capture(body, v)) {
      const ValueId outer = model_.graph.find(body.value(v).name);
      const Tensor* around = outer == ValueId::kNone ? nullptr : model_.graph.constant(outer);
      return around ? *around : Tensor();
    }
    const auto producer = std::ranges::find_if(body.nodes, [&](const Node& n) {
      return std::find(n.outputs.begin(), n.outputs.end(), v) != n.outputs.end();
    });
    if (producer == body.nodes.end() || !moves_values(*producer)) return {};
    std::vector<Tensor> inputs;
    for (ValueId in : producer->inputs) {
      inputs.push_back(in == ValueId::kNone ? Tensor() : constant_of(body, in));
      if (in != ValueId::kNone && !inputs.back().defined()) return {};
    }
    return eval_node(*producer, model_.opset(producer->domain), inputs)[0];
  }

  bool moves_values(const Node& node) const {
    if (is(node, "Constant")) return !find_attribute(node, "sparse_value");
    if (is(node, "Identity") || is(node, "Cast")) return true;
    const OpDef* op = find_op(node.type, node.domain, model_.opset(node.domain));
    return op && op->quant.kind == QuantKind::kMovement && node.outputs.size() == 1;
  }

  Model& model_;
};

}  // namespace

void lift_weights(Model& model) { Lifter(model).run(); }

}  // namespace qtool::passes
