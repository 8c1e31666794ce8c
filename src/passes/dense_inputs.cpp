// The channels of what dense layers read, the last axis, shifted, scaled and doubled in front of the layers, which make
// up for it. Unlike scale_channels() it needs nothing of what makes the value.
#include <algorithm>

#include "graph/append_node.hpp"
#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool {
namespace {

using passes::constant, passes::own_constant, passes::sole_consumer;

bool reads(const Graph& g, const Uses& uses, const Node& node, ValueId value) {
  const bool dense = is(node, "MatMul") || (is(node, "Gemm") && !attr_int(node, "transA", 0) &&
                                            attr_float(node, "alpha", 1) == 1);
  if (!dense || node.inputs[0] != value || node.inputs[1] == value) return false;
  const Tensor* weight = own_constant(g, uses, node.inputs[1]);
  return weight && weight->rank() == 2;
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

// The LayerNormalization that makes the value for these layers alone and can take shifts and factors; nullptr: none.
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
    const Tensor* t = own_constant(g, uses, node.inputs[slot]);
    if (!t || t->size() != shape->back()) return nullptr;
  }
  return &node;
}

Tensor row(const std::vector<float>& values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

std::vector<float> negative(std::vector<float> values) {
  for (float& v : values) v = -v;
  return values;
}

void into_normalization(Graph& g, Node& norm, const ChannelEdit& edit) {
  const bool biased = norm.inputs.size() > 2 && norm.inputs[2] != ValueId::kNone;
  if (!edit.shifts.empty()) {
    if (biased) {
      auto bias = g.initializers.at(norm.inputs[2]).data.mutable_data<float>();
      for (size_t c = 0; c < bias.size(); ++c) bias[c] -= edit.shifts[c];
    } else {
      norm.inputs.resize(3, ValueId::kNone);
      norm.inputs[2] = add_initializer(g, cat(edit.value, "/shift"), row(negative(edit.shifts)));
    }
  }
  if (edit.factors.empty()) return;
  for (size_t slot = 1; slot < norm.inputs.size(); ++slot) {
    if (norm.inputs[slot] == ValueId::kNone) continue;
    auto data = g.initializers.at(norm.inputs[slot]).data.mutable_data<float>();
    for (size_t c = 0; c < data.size(); ++c) data[c] *= edit.factors[c];
  }
}

// Nodes behind the value; returns what they make of it.
class InFront {
 public:
  InFront(Graph& g, ValueId value)
      : g_(g), name_(g.value(value).name), shape_(*g.value(value).shape) {}

  ValueId shifted(ValueId v, const std::vector<float>& shifts) {
    const ValueId by = add_initializer(g_, cat(name_, "/shift"), row(negative(shifts)));
    return append_node(g_, cat(name_, "/shifted"), "Add", {v, by}, DType::kFloat, shape_);
  }
  ValueId scaled(ValueId v, const std::vector<float>& factors) {
    const ValueId by = add_initializer(g_, cat(name_, "/factors"), row(factors));
    return append_node(g_, cat(name_, "/scaled"), "Mul", {v, by}, DType::kFloat, shape_);
  }
  // Few channels are picked and the others moved as a whole: picking all of them takes many times as long.
  ValueId copied(ValueId v, const std::vector<int64_t>& copies) {
    Shape picked_shape = shape_, all_shape = shape_;
    picked_shape.back() = static_cast<int64_t>(copies.size());
    all_shape.back() += picked_shape.back();
    const ValueId which = add_initializer(g_, cat(name_, "/outliers"),
                                          Tensor::of<int64_t>({picked_shape.back()}, copies));
    const ValueId picked =
        append_node(g_, cat(name_, "/picked"), "Gather", {v, which}, DType::kFloat, picked_shape);
    set_attribute(g_.nodes.back(), "axis", static_cast<int64_t>(shape_.size()) - 1);
    const ValueId all =
        append_node(g_, cat(name_, "/split"), "Concat", {v, picked}, DType::kFloat, all_shape);
    set_attribute(g_.nodes.back(), "axis", static_cast<int64_t>(shape_.size()) - 1);
    return all;
  }

 private:
  Graph& g_;
  std::string name_;
  Shape shape_;
};

// The weight for edited channels, and what their shifts take off its outputs.
std::pair<Tensor, std::vector<float>> made_up(const ChannelReader& reader,
                                              const ChannelEdit& edit) {
  const int64_t channels = reader.channels(), rows = reader.weight->dim(reader.row_axis);
  const std::vector<int64_t> times = times_there(edit, static_cast<size_t>(channels));
  Shape shape = reader.weight->shape();
  shape[static_cast<size_t>(reader.channel_axis)] += static_cast<int64_t>(edit.copies.size());
  Tensor wide(DType::kFloat, shape);
  const auto old = reader.weight->data<float>();
  auto data = wide.mutable_data<float>();
  const int64_t all = shape[static_cast<size_t>(reader.channel_axis)];
  const bool turned = reader.row_axis == 0;
  std::vector<float> bias;
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < all; ++c) {
      const int64_t of = c < channels ? c : edit.copies[static_cast<size_t>(c - channels)];
      const auto at = static_cast<size_t>(of);
      const float w = old[static_cast<size_t>(turned ? r * channels + of : of * rows + r)];
      const float divisor = edit.factors.empty() ? 1.f : edit.factors[at];
      data[static_cast<size_t>(turned ? r * all + c : c * rows + r)] =
          w / (divisor * static_cast<float>(times[at]));
      if (c < channels && !edit.shifts.empty()) sum += static_cast<double>(w) * edit.shifts[at];
    }
    bias.push_back(static_cast<float>(sum));
  }
  return {std::move(wide), std::move(bias)};
}

// The layer's outputs get so much more: in a bias that is there, else behind the layer.
void add_to_outputs(Graph& g, const Uses& uses, int32_t layer, const std::vector<float>& more) {
  const auto own = [&](ValueId v) {
    const Tensor* t = own_constant(g, uses, v);
    return t && t->rank() == 1 && t->size() == static_cast<int64_t>(more.size());
  };
  const auto add = [&](ValueId v) {
    auto bias = g.initializers.at(v).data.mutable_data<float>();
    for (size_t r = 0; r < bias.size(); ++r) bias[r] += more[r];
  };
  const Node& node = g.nodes[static_cast<size_t>(layer)];
  if (is(node, "Gemm") && attr_float(node, "beta", 1) == 1 && node.inputs.size() > 2 &&
      own(node.inputs[2]))
    return add(node.inputs[2]);
  const ValueId made = node.outputs[0];
  if (const int32_t reader = sole_consumer(uses, made); reader >= 0) {
    const Node& sum = g.nodes[static_cast<size_t>(reader)];
    if (is(sum, "Add")) {
      for (const ValueId v : sum.inputs)
        if (own(v)) return add(v);
    }
  }
  // The sum keeps the output's name, which the model's own outputs need.
  const std::string name = g.value(made).name;
  const ValueId raw = add_value(g, cat(name, "/unshifted"), DType::kFloat, g.value(made).shape);
  g.nodes[static_cast<size_t>(layer)].outputs[0] = raw;
  const ValueId by = add_initializer(g, cat(name, "/shift"), row(more));
  g.nodes.push_back(make_node(g, cat(name, "/shift"), "Add", {raw, by}, {made}));
}

bool fits(const ChannelEdit& edit, int64_t channels) {
  const auto one_each = [&](const std::vector<float>& values) {
    return values.empty() || static_cast<int64_t>(values.size()) == channels;
  };
  return one_each(edit.shifts) && one_each(edit.factors) &&
         std::ranges::all_of(edit.copies, [&](int64_t c) { return c >= 0 && c < channels; });
}

}  // namespace

std::vector<int64_t> times_there(const ChannelEdit& edit, size_t channels) {
  std::vector<int64_t> times(channels, 1);
  for (const int64_t c : edit.copies) ++times[static_cast<size_t>(c)];
  return times;
}

std::vector<ScalableValue> dense_inputs(const Model& model) {
  const Graph& g = model.graph;
  const Uses uses = uses_of(g);
  std::vector<ScalableValue> found;
  for (size_t v = 0; v < g.values.size(); ++v) {
    const auto& shape = g.values[v].shape;
    if (!shape || shape->size() < 2 || shape->back() <= 0 || g.values[v].dtype != DType::kFloat)
      continue;
    std::vector<ChannelReader> readers = readers_of(g, layers_of(g, uses, static_cast<ValueId>(v)));
    if (!readers.empty()) found.push_back({g.values[v].name, std::move(readers)});
  }
  return found;
}

namespace passes {

void edit_dense_input(Model& model, const ChannelEdit& edit) {
  Graph& g = model.graph;
  const Uses uses = uses_of(g);
  const ValueId value = g.find(edit.value);
  const std::vector<int32_t> layers =
      value == ValueId::kNone ? std::vector<int32_t>{} : layers_of(g, uses, value);
  const std::vector<ChannelReader> readers = readers_of(g, layers);
  if (readers.empty() || !g.value(value).shape || !fits(edit, readers[0].channels()))
    throw_model("QT-E356", cat("the channels of '", printable(edit.value), "' cannot be edited"));
  for (size_t i = 0; i < layers.size(); ++i) {
    auto [weight, bias] = made_up(readers[i], edit);
    const ValueId id = readers[i].weight_value;
    g.value(id).shape = weight.shape();
    g.initializers.at(id).data = std::move(weight);
    if (!edit.shifts.empty()) add_to_outputs(g, uses, layers[i], bias);
  }
  ValueId now = value;
  InFront in_front(g, value);
  if (Node* norm = normalization(g, uses, value, layers.size())) {
    into_normalization(g, *norm, edit);
  } else {
    if (!edit.shifts.empty()) now = in_front.shifted(now, edit.shifts);
    if (!edit.factors.empty()) now = in_front.scaled(now, edit.factors);
  }
  if (!edit.copies.empty()) now = in_front.copied(now, edit.copies);
  for (int32_t n : layers) g.nodes[static_cast<size_t>(n)].inputs[0] = now;
}

}  // namespace passes

}  // namespace qtool
