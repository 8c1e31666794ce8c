#include <algorithm>
#include <cstring>

#include "graph/subgraphs.hpp"
#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {
namespace {

using SharedGraph = std::shared_ptr<const Graph>;
using Lifted = std::vector<ValueId>;  // of the main graph

// Which constants of bodies go to the main graph.
enum class Lifts {
  kWeights,  // weights and biases in float, under the path to them
  kCodes,    // what a DequantizeLinear reads, under its own name; those of several bodies are one
};

class Lifter {
 public:
  Lifter(Model& model, Lifts lifts) : model_(model), lifts_(lifts) {}

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
    for (const auto& [v, least_rank] : weights_of(body)) {
      if (is_capture(body, v) || becomes.contains(v)) continue;
      Tensor data = constant_of(body, v);
      if (!data.defined() || data.rank() < least_rank) continue;
      lifted.push_back(constant_in_main_graph(path, body.value(v).name, std::move(data)));
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

  ValueId constant_in_main_graph(const std::string& path, const std::string& name, Tensor data) {
    Graph& g = model_.graph;
    if (lifts_ == Lifts::kWeights) return add_initializer(g, cat(path, "/", name), std::move(data));
    const ValueId same = g.find(name);
    const Tensor* there = same == ValueId::kNone ? nullptr : g.constant(same);
    if (there && equal(*there, data)) return same;
    if (same != ValueId::kNone) return add_initializer(g, name, std::move(data));
    // The body gives the name away.
    Value value;
    value.name = name;
    value.dtype = data.dtype();
    value.shape = data.shape();
    g.values.push_back(std::move(value));
    const auto id = static_cast<ValueId>(g.values.size() - 1);
    g.initializers[id].data = std::move(data);
    return id;
  }

  static bool equal(const Tensor& a, const Tensor& b) {
    return a.dtype() == b.dtype() && a.shape() == b.shape() &&
           std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
  }

  struct Slot {
    ValueId value;
    int64_t least_rank;  // what has fewer dimensions is no weight
  };

  // What the body's own nodes read as weights, and what bodies inside it capture.
  std::vector<Slot> weights_of(const Graph& body) const {
    std::vector<Slot> slots;
    for (const Node& node : body.nodes) {
      const auto add = [&](int slot, int64_t least_rank) {
        if (slot >= 0 && static_cast<size_t>(slot) < node.inputs.size())
          slots.push_back({node.inputs[static_cast<size_t>(slot)], least_rank});
      };
      if (lifts_ == Lifts::kCodes) {
        for (const int slot : {0, 1, 2})
          if (is(node, "DequantizeLinear")) add(slot, 1);
        continue;
      }
      if (const OpDef* op = find_op(node.type, node.domain, model_.opset(node.domain))) {
        add(op->quant.weight_input, 2);
        add(op->quant.bias_input, 1);
        for (const StoredInput& input : op->quant.stored) add(input.slot, 2);
      }
      for (const std::string& name : captured_names(node)) slots.push_back({body.find(name), 1});
    }
    std::erase_if(slots, [](const Slot& slot) { return slot.value == ValueId::kNone; });
    return slots;
  }

  // What a body makes of constants alone, its own or those around the main graph's node, by moving or
  // casting them; undefined when it is none.
  Tensor constant_of(const Graph& body, ValueId v) const {
    if (const Tensor* own = body.constant(v)) return *own;
    if (lifts_ == Lifts::kCodes) return {};  // what is looked up stays so
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
  Lifts lifts_;
};

}  // namespace

void lift_weights(Model& model) { Lifter(model, Lifts::kWeights).run(); }
void lift_codes(Model& model) { Lifter(model, Lifts::kCodes).run(); }

}  // namespace qtool::passes
