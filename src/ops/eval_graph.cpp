#include "qtool/ops.hpp"

namespace qtool {

namespace {

class GraphRun {
 public:
  GraphRun(const Graph& graph, const std::map<std::string, int64_t>& opsets,
           const std::function<Tensor(const std::string&)>& outer)
      : graph_(graph), opsets_(opsets), values_(graph.values.size()) {
    for (const ValueId id : graph.captures) value(id) = outer(graph.value(id).name);
    for (const auto& [id, initializer] : graph.initializers) value(id) = initializer.data;
  }

  std::vector<Tensor> run(std::vector<Tensor> inputs) {
    if (inputs.size() != graph_.inputs.size())
      throw_internal(cat("a graph of ", graph_.inputs.size(), " inputs gets ", inputs.size()));
    for (size_t i = 0; i < inputs.size(); ++i) value(graph_.inputs[i]) = std::move(inputs[i]);
    for (const Node& node : graph_.nodes) step(node);
    std::vector<Tensor> outputs;
    for (const ValueId id : graph_.outputs) outputs.push_back(value(id));
    return outputs;
  }

 private:
  Tensor& value(ValueId id) { return values_[index(id)]; }

  void step(const Node& node) {
    const BodyRunner run_body = [&](const Graph& body, std::vector<Tensor> inputs) {
      return eval_graph(body, opsets_, std::move(inputs),
                        [&](const std::string& name) { return value(graph_.find(name)); });
    };
    std::vector<Tensor> inputs;
    for (const ValueId id : node.inputs)
      inputs.push_back(id == ValueId::kNone ? Tensor() : value(id));
    const auto opset = opsets_.find(node.domain);
    std::vector<Tensor> results =
        eval_node(node, opset == opsets_.end() ? 0 : opset->second, inputs, &run_body);
    for (size_t i = 0; i < node.outputs.size() && i < results.size(); ++i) {
      if (node.outputs[i] != ValueId::kNone) value(node.outputs[i]) = std::move(results[i]);
    }
  }

  const Graph& graph_;
  const std::map<std::string, int64_t>& opsets_;
  std::vector<Tensor> values_;
};

}  // namespace

std::vector<Tensor> eval_graph(const Graph& graph, const std::map<std::string, int64_t>& opsets,
                               std::vector<Tensor> inputs,
                               const std::function<Tensor(const std::string& name)>& outer) {
  return GraphRun(graph, opsets, outer).run(std::move(inputs));
}

}  // namespace qtool
