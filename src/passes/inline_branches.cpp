#include "passes/passes.hpp"

namespace qtool::passes {
namespace {

// The branch that an If always takes, or nullptr.
std::shared_ptr<const Graph> taken_branch(const Graph& g, const Node& node) {
  if (!is(node, "If") || node.inputs.empty()) return nullptr;
  const Tensor* condition = constant(g, node.inputs[0]);
  if (!condition || condition->dtype() != DType::kBool || condition->size() != 1) return nullptr;
  const bool yes = condition->data<bool>()[0];
  const Attribute* branch = find_attribute(node, yes ? "then_branch" : "else_branch");
  const auto* graph = branch ? std::get_if<std::shared_ptr<const Graph>>(&branch->value) : nullptr;
  const bool fits = graph && *graph && (*graph)->inputs.empty() &&
                    (*graph)->outputs.size() == node.outputs.size();
  return fits ? *graph : nullptr;
}

}  // namespace

bool inline_branches(Model& model) {
  Graph& g = model.graph;
  struct Taken {
    std::shared_ptr<const Graph> branch;
    std::vector<ValueId> outputs;
  };
  std::vector<Taken> taken;
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (auto branch = taken_branch(g, g.nodes[i])) {
      taken.push_back({std::move(branch), g.nodes[i].outputs});
      gone.push_back(static_cast<int32_t>(i));
    }
  }
  if (taken.empty()) return false;
  remove_nodes(g, gone);
  g.names = {};  // what the branches called theirs is free now
  for (const Taken& t : taken) splice(g, *t.branch, {}, t.outputs);
  sort_nodes(g);
  constants_to_initializers(model);
  return true;
}

}  // namespace qtool::passes
