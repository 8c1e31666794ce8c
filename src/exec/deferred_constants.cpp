#include "exec/deferred_constants.hpp"

#include <algorithm>

#include "graph/subgraphs.hpp"
#include "qtool/ops.hpp"

namespace qtool {
namespace {

bool runs_alone(const Model& model, const Node& node) {
  const OpDef* op = find_op(node.type, node.domain, model.opset(node.domain));
  return op && op->deterministic && node.outputs.size() == 1 && subgraphs_of(node).empty();
}

}  // namespace

DeferredConstants::DeferredConstants(const Model& model, const std::set<std::string>& observe)
    : model_(model) {
  const Graph& g = model.graph;
  std::set<std::string> kept = observe;
  for (const ValueId v : g.outputs) kept.insert(g.value(v).name);
  for (const Node& node : g.nodes)
    for (const std::string& name : captured_names(node)) kept.insert(name);
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    const auto constant = [&](ValueId v) {
      return v == ValueId::kNone || g.constant(v) || values_.contains(v);
    };
    const auto deferred = [&](ValueId v) { return values_.contains(v); };
    if (!is(node, "DequantizeLinear") && std::ranges::none_of(node.inputs, deferred)) continue;
    if (!std::ranges::all_of(node.inputs, constant) || !runs_alone(model, node)) continue;
    if (kept.contains(g.value(node.outputs[0]).name)) continue;
    values_.try_emplace(node.outputs[0], Deferred{&node, {}, {}});
    nodes_.insert(n);
  }
}

const Tensor* DeferredConstants::find(ValueId id) const {
  const auto at = values_.find(id);
  return at == values_.end() ? nullptr : &at->second.value;
}

std::unique_lock<std::recursive_mutex> DeferredConstants::hold(
    std::span<const ValueId> values) const {
  std::unique_lock<std::recursive_mutex> lock;
  for (const ValueId id : values) {
    const auto at = values_.find(id);
    if (at == values_.end()) continue;
    if (!lock) lock = std::unique_lock(mutex_);
    (void)evaluated(at->second);
  }
  return lock;
}

void DeferredConstants::drop() const {
  if (values_.empty()) return;
  const std::unique_lock lock(mutex_);
  for (const auto& [id, deferred] : values_) deferred.value = Tensor();
}

Tensor DeferredConstants::value(ValueId id) const {
  const std::unique_lock lock(mutex_);
  return evaluated(values_.at(id));
}

Shape DeferredConstants::shape(ValueId id) const {
  const std::unique_lock lock(mutex_);
  const Deferred& deferred = values_.at(id);
  return deferred.shape ? *deferred.shape : evaluated(deferred).shape();
}

const Tensor& DeferredConstants::evaluated(const Deferred& deferred) const {
  if (deferred.value.defined()) return deferred.value;
  const Node& node = *deferred.node;
  std::vector<Tensor> inputs;
  for (const ValueId v : node.inputs) {
    const auto at = values_.find(v);
    if (at != values_.end())
      inputs.push_back(evaluated(at->second));
    else
      inputs.push_back(v == ValueId::kNone ? Tensor() : *model_.graph.constant(v));
  }
  deferred.value = std::move(eval_node(node, model_.opset(node.domain), inputs)[0]);
  deferred.shape = deferred.value.shape();
  for (const Tensor& input : inputs) input.drop_pages();
  return deferred.value;
}

}  // namespace qtool
