#include <algorithm>

#include "passes/passes.hpp"
#include "qtool/onnx.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {
namespace {

constexpr int kMostRounds = 16;  // functions made of functions

bool has_record(const Model& model, const Node& node) {
  return find_op(node.type, node.domain, model.opset(node.domain)) != nullptr;
}

// Attention has a record, too: its products run faster, and can be quantized, one by one.
bool stays(const Model& model, const Node& node) {
  return has_record(model, node) && !is(node, "Attention");
}

// Whether the body's nodes mean the same at the model's opsets as at those they were written for. Where they do
// not, a node with a record of its own stays; others throw.
bool fits_opsets(const Model& model, const Node& node, const FunctionBody& body) {
  for (const Node& inner : body.graph.nodes) {
    const auto written = body.opsets.find(inner.domain);
    if (written == body.opsets.end() || written->second == model.opset(inner.domain)) continue;
    if (find_op(inner.type, inner.domain, written->second) ==
        find_op(inner.type, inner.domain, model.opset(inner.domain)))
      continue;
    if (has_record(model, node)) return false;
    throw_unsupported(cat(node_text(node), ": ONNX defines it by ", printable(inner.type),
                          " of opset ", written->second, ", the model has opset ",
                          model.opset(inner.domain)));
  }
  return true;
}

bool expand_once(Model& model) {
  Graph& g = model.graph;
  if (std::ranges::all_of(g.nodes, [&](const Node& n) { return stays(model, n); })) return false;
  infer_shapes(model);
  std::vector<std::pair<Node, FunctionBody>> found;
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    if (stays(model, node)) continue;
    auto body = contrib_function(model, node);
    if (!body) body = function_body(model, node);
    if (!body) continue;
    for (const auto& [domain, opset] : body->opsets) model.opsets.try_emplace(domain, opset);
    if (!fits_opsets(model, node, *body)) continue;
    found.emplace_back(node, std::move(*body));
    gone.push_back(static_cast<int32_t>(i));
  }
  remove_nodes(g, gone);
  for (auto& [node, body] : found) {
    std::vector<ValueId> inputs = node.inputs, outputs = node.outputs;
    inputs.resize(body.graph.inputs.size(), ValueId::kNone);
    std::erase(outputs, ValueId::kNone);
    splice(g, body.graph, inputs, outputs, node.name + "/");
  }
  sort_nodes(g);
  return !found.empty();
}

}  // namespace

void expand_functions(Model& model) {
  model = inline_functions(model);
  for (int round = 0; expand_once(model); ++round) {
    if (round == kMostRounds)
      throw_unsupported(cat("functions of functions, more than ", kMostRounds, " deep"));
  }
}

}  // namespace qtool::passes
