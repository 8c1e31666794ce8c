// x · Sigmoid(x), as exporters spell Swish before opset 24, becomes one node for execution.
#include <algorithm>

#include "passes/passes.hpp"

namespace qtool::passes {

void fuse_swish(Model& model, const std::set<std::string>& observe) {
  Graph& g = model.graph;
  const Uses uses = uses_of(g);
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& sigmoid = g.nodes[i];
    if (!is(sigmoid, "Sigmoid") || observe.contains(g.value(sigmoid.outputs[0]).name)) continue;
    const int32_t next = sole_consumer(uses, sigmoid.outputs[0]);
    const Node* product = next < 0 ? nullptr : &g.nodes[static_cast<size_t>(next)];
    if (!product || !is(*product, "Mul") || product->inputs.size() != 2) continue;
    const size_t other = product->inputs[0] == sigmoid.outputs[0] ? 1 : 0;
    if (product->inputs[other] != sigmoid.inputs[0]) continue;
    sigmoid.type = "Swish";
    sigmoid.outputs = product->outputs;
    set_attribute(sigmoid, "fused_from", product->name + "\n");
    gone.push_back(next);
  }
  if (gone.empty()) return;
  std::sort(gone.begin(), gone.end());
  remove_nodes(g, gone);
  sort_nodes(g);
}

}  // namespace qtool::passes
