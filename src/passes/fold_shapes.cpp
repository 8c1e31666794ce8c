// Shape, Size, and Gather of a Shape, where the declared and inferred dimensions already answer.
#include <algorithm>

#include "passes/passes.hpp"
#include "qtool/onnx.hpp"

namespace qtool::passes {
namespace {

// What is known of a list of dimensions: −1 where a dimension is not.
std::optional<Shape> dimensions(const Graph& g, const Uses& uses, ValueId list) {
  const int32_t producer = list == ValueId::kNone ? -1 : uses.producer[index(list)];
  if (producer < 0) return std::nullopt;
  const Node& node = g.nodes[static_cast<size_t>(producer)];
  if (!is(node, "Shape") || !g.value(node.inputs[0]).shape) return std::nullopt;
  const Shape& shape = *g.value(node.inputs[0]).shape;
  const auto rank = static_cast<int64_t>(shape.size());
  const auto bound = [&](std::string_view name, int64_t fallback) {
    const int64_t at = attr_int(node, name, fallback);
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const int64_t begin = bound("start", 0), end = std::max(begin, bound("end", rank));
  return Shape(shape.begin() + begin, shape.begin() + end);
}

std::optional<Tensor> gathered(const Graph& g, const Uses& uses, const Node& node) {
  const auto list = dimensions(g, uses, node.inputs[0]);
  const Tensor* which = constant(g, node.inputs[1]);
  if (!list || !which || !is_integer(which->dtype()) || which->rank() > 1) return std::nullopt;
  Tensor out(DType::kInt64, which->shape());
  const auto count = static_cast<int64_t>(list->size());
  for (int64_t i = 0; i < which->size(); ++i) {
    int64_t at = which->integer(i);
    if (at < 0) at += count;
    if (at < 0 || at >= count || (*list)[static_cast<size_t>(at)] < 0) return std::nullopt;
    out.mutable_data<int64_t>()[static_cast<size_t>(i)] = (*list)[static_cast<size_t>(at)];
  }
  return out;
}

std::optional<Tensor> known_result(const Graph& g, const Uses& uses, const Node& node) {
  if (is(node, "Shape")) {
    const auto list = dimensions(g, uses, node.outputs[0]);
    if (!list || !is_static(*list)) return std::nullopt;
    return Tensor::of<int64_t>({static_cast<int64_t>(list->size())}, *list);
  }
  if (is(node, "Gather")) return gathered(g, uses, node);
  if (!is(node, "Size") || !g.value(node.inputs[0]).shape) return std::nullopt;
  const Shape& shape = *g.value(node.inputs[0]).shape;
  if (!is_static(shape)) return std::nullopt;
  return Tensor::scalar(element_count(shape));
}

// Dimensions that follow from those of the inputs. What a file says of values in between may be left over
// from the one batch that an exporter traced.
Model without_claims(const Model& model) {
  Model bare = model;
  Graph& g = bare.graph;
  std::vector<bool> given(g.values.size());
  for (const ValueId id : g.inputs) given[index(id)] = true;
  for (const auto& [id, initializer] : g.initializers) given[index(id)] = true;
  for (size_t v = 0; v < g.values.size(); ++v) {
    if (given[v]) continue;
    g.values[v].shape.reset();
    g.values[v].symbols.clear();
  }
  infer_shapes(bare);
  return bare;
}

}  // namespace

bool fold_shapes(Model& model) {
  Graph& g = model.graph;
  const auto asks = [](const Node& node) { return is(node, "Shape") || is(node, "Size"); };
  if (std::ranges::none_of(g.nodes, asks)) return false;
  const Graph known = without_claims(model).graph;
  const Uses uses = uses_of(g);
  std::vector<int32_t> gone;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& node = g.nodes[i];
    if (auto result = known_result(known, uses, node)) {
      g.initializers[node.outputs[0]].data = std::move(*result);
      gone.push_back(static_cast<int32_t>(i));
    }
  }
  remove_nodes(g, gone);
  return !gone.empty();
}

}  // namespace qtool::passes
