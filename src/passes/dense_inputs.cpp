// Channels of what dense layers read, the last axis, times a factor each, and the layers' weights by the inverse
// (SmoothQuant, arXiv 2211.10438). Unlike scale_channels() it needs nothing of what makes the value.
#include <algorithm>

#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool {
namespace {

using passes::constant;

bool reads(const Graph& g, const Uses& uses, const Node& node, ValueId value) {
  const bool dense = is(node, "MatMul") || (is(node, "Gemm") && !attr_int(node, "transA", 0));
  if (!dense || node.inputs[0] != value || node.inputs[1] == value) return false;
  const Tensor* weight = constant(g, node.inputs[1]);
  return weight && weight->dtype() == DType::kFloat && weight->rank() == 2 &&
         uses.consumers[index(node.inputs[1])].size() == 1;
}

std::vector<int32_t> layers_of(const Graph& g, const Uses& uses, ValueId value) {
  std::vector<int32_t> layers;
  for (int32_t n : uses.consumers[index(value)])
    if (reads(g, uses, g.nodes[static_cast<size_t>(n)], value)) layers.push_back(n);
  return layers;
}

ChannelReader reader_of(const Graph& g, const Node& node) {
  const int64_t rows = attr_int(node, "transB", 0) ? 0 : 1;
  return {node.inputs[1], constant(g, node.inputs[1]), rows, 1 - rows, 1};
}

std::vector<ChannelReader> readers_of(const Graph& g, const std::vector<int32_t>& layers) {
  std::vector<ChannelReader> readers;
  for (int32_t n : layers) readers.push_back(reader_of(g, g.nodes[static_cast<size_t>(n)]));
  return readers;
}

// The LayerNormalization that makes the value for these layers alone and can take its factors; nullptr: none.
Node* normalization(Graph& g, const Uses& uses, ValueId value, size_t layers) {
  const int32_t n = uses.producer[index(value)];
  if (n < 0 || uses.is_output[index(value)] || uses.consumers[index(value)].size() != layers)
    return nullptr;
  Node& node = g.nodes[static_cast<size_t>(n)];
  const auto& shape = g.value(value).shape;
  const int64_t axis = attr_int(node, "axis", -1);
  if (!is(node, "LayerNormalization") ||
      (axis != -1 && axis != static_cast<int64_t>(shape->size()) - 1))
    return nullptr;
  for (size_t slot = 1; slot < node.inputs.size(); ++slot) {
    if (node.inputs[slot] == ValueId::kNone) continue;
    const Tensor* t = constant(g, node.inputs[slot]);
    if (!t || t->size() != shape->back() || uses.consumers[index(node.inputs[slot])].size() != 1)
      return nullptr;
  }
  return &node;
}

void multiply(Tensor& t, const std::vector<float>& factors) {
  auto data = t.mutable_data<float>();
  for (size_t c = 0; c < data.size(); ++c) data[c] *= factors[c];
}

// A node in front of the layers.
void multiply_in_front(Graph& g, ValueId value, const std::vector<int32_t>& layers,
                       const std::vector<float>& factors) {
  const std::string name = g.value(value).name;
  const auto shape = g.value(value).shape;
  const ValueId by = add_initializer(
      g, cat(name, "/factors"), Tensor::of<float>({static_cast<int64_t>(factors.size())}, factors));
  const ValueId scaled = add_value(g, cat(name, "/scaled"), DType::kFloat, shape);
  for (int32_t n : layers) g.nodes[static_cast<size_t>(n)].inputs[0] = scaled;
  g.nodes.push_back(make_node(g, cat(name, "/scale"), "Mul", {value, by}, {scaled}));
}

}  // namespace

std::vector<ScalableValue> dense_inputs(const Model& model) {
  const Graph& g = model.graph;
  const Uses uses = uses_of(g);
  std::vector<ScalableValue> found;
  for (size_t v = 0; v < g.values.size(); ++v) {
    const auto& shape = g.values[v].shape;
    if (!shape || shape->size() < 3 || shape->back() <= 0 || g.values[v].dtype != DType::kFloat)
      continue;
    std::vector<ChannelReader> readers = readers_of(g, layers_of(g, uses, static_cast<ValueId>(v)));
    if (!readers.empty()) found.push_back({g.values[v].name, std::move(readers)});
  }
  return found;
}

namespace passes {

void scale_dense_input(Model& model, const std::string& name, const std::vector<float>& factors) {
  Graph& g = model.graph;
  const Uses uses = uses_of(g);
  const ValueId value = g.find(name);
  const std::vector<int32_t> layers =
      value == ValueId::kNone ? std::vector<int32_t>{} : layers_of(g, uses, value);
  const std::vector<ChannelReader> readers = readers_of(g, layers);
  if (readers.empty() || !g.value(value).shape ||
      readers[0].channels() != static_cast<int64_t>(factors.size()))
    throw_model("QT-E356", cat("the channels of '", printable(name), "' cannot be scaled"));
  for (const ChannelReader& reader : readers) {
    Tensor& weight = g.initializers.at(reader.weight_value).data;
    auto data = weight.mutable_data<float>();
    reader.for_each([&](int64_t, int64_t channel, size_t element) {
      data[element] /= factors[static_cast<size_t>(channel)];
    });
  }
  Node* norm = normalization(g, uses, value, layers.size());
  if (!norm) return multiply_in_front(g, value, layers, factors);
  for (size_t slot = 1; slot < norm->inputs.size(); ++slot)
    if (norm->inputs[slot] != ValueId::kNone)
      multiply(g.initializers.at(norm->inputs[slot]).data, factors);
}

}  // namespace passes

}  // namespace qtool
