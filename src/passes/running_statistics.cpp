#include "qtool/passes.hpp"

namespace qtool {

std::vector<RunningStatistics> running_statistics(const Model& model) {
  const Graph& g = model.graph;
  std::vector<RunningStatistics> found;
  for (const Node& node : g.nodes) {
    if (!is(node, "BatchNormalization") || node.inputs.size() < 5) continue;
    const Tensor *mean = g.constant(node.inputs[3]), *variance = g.constant(node.inputs[4]);
    if (!mean || !variance || mean->dtype() != DType::kFloat || variance->dtype() != DType::kFloat)
      continue;
    const auto m = mean->data<float>(), v = variance->data<float>();
    found.push_back({g.value(node.inputs[0]).name, {m.begin(), m.end()}, {v.begin(), v.end()}});
  }
  return found;
}

}  // namespace qtool
