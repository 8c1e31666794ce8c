#include "graph/append_node.hpp"

namespace qtool {

ValueId append_node(Graph& graph, const std::string& name, const std::string& type,
                    std::vector<ValueId> inputs, DType dtype, const std::optional<Shape>& shape) {
  const ValueId out = add_value(graph, name, dtype, shape);
  graph.nodes.push_back(
      make_node(graph, cat(graph.value(out).name, "_", type), type, std::move(inputs), {out}));
  return out;
}

}  // namespace qtool
