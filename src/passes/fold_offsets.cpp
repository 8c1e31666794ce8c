// conv(W, x + b) = conv(W, x) + ΣW·b: a constant that is added to what layers read moves into their biases.
// A quantizer of x then has an exact code for the x = 0 of blank regions, where x + b has not, and one
// node less runs. Where the convolution pads with zeros, x is padded with −b before; where x is a product m·y, y
// is padded with −b/m, so that a factor is still what the convolution reads: it can take one for each channel
// (scale_channels).
#include <algorithm>
#include <cmath>

#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {
namespace {

struct Offset {
  ValueId input = ValueId::kNone;  // x
  std::vector<float> values;       // one, or one a channel
};

std::optional<Offset> offset_of(const Graph& g, const Node& node) {
  const bool add = is(node, "Add"), subtract = is(node, "Sub");
  if ((!add && !subtract) || !g.value(node.outputs[0]).shape) return std::nullopt;
  const auto rank = static_cast<int64_t>(g.value(node.outputs[0]).shape->size());
  for (size_t side = subtract ? 1 : 0; side < 2; ++side) {
    const Tensor* t = constant(g, node.inputs[side]);
    const auto& other = g.value(node.inputs[1 - side]);
    if (!t || t->dtype() != DType::kFloat || t->rank() > rank || !other.shape ||
        static_cast<int64_t>(other.shape->size()) != rank)
      continue;
    const int64_t axis = t->rank() - rank + 1;
    // One a channel, of a value that has these channels itself: more would be broadcasting.
    if (t->size() != 1 &&
        !(axis >= 0 && t->dim(axis) == t->size() && rank > 1 && (*other.shape)[1] == t->size()))
      continue;
    Offset offset{node.inputs[1 - side], {t->data<float>().begin(), t->data<float>().end()}};
    for (float& v : offset.values) v = subtract ? -v : v;
    return offset;
  }
  return std::nullopt;
}

std::vector<int64_t> pads_of(const Node& node) {
  const auto* found = find_attribute(node, "pads");
  return found ? std::get<std::vector<int64_t>>(found->value) : std::vector<int64_t>();
}

bool takes_offset(const Graph& g, const Uses& uses, const Node& node, ValueId value,
                  const Offset& offset) {
  if (!is(node, "Conv") || node.inputs[0] != value) return false;
  const Tensor* weight = constant(g, node.inputs[1]);
  const bool biased = node.inputs.size() > 2 && node.inputs[2] != ValueId::kNone;
  if (!weight || weight->dtype() != DType::kFloat) return false;
  const Tensor* bias = biased ? own_constant(g, uses, node.inputs[2]) : nullptr;
  if (biased && (!bias || bias->size() != weight->dim(0))) return false;
  const int64_t channels = weight->dim(1) * attr_int(node, "group", 1);
  if (offset.values.size() != 1 && static_cast<int64_t>(offset.values.size()) != channels)
    return false;
  const std::string mode = attr_string(node, "auto_pad", "NOTSET");
  const std::vector<int64_t> pads = pads_of(node);
  const bool pads_zeros = std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; });
  return (mode == "NOTSET" || mode == "VALID") && (!pads_zeros || offset.values.size() == 1);
}

void add_to_bias(Graph& g, Node& conv, const Offset& offset) {
  const Tensor& weight = *constant(g, conv.inputs[1]);
  const int64_t rows = weight.dim(0), columns = weight.dim(1),
                positions = rows > 0 ? weight.size() / std::max<int64_t>(1, rows * columns) : 0;
  const int64_t each = std::max<int64_t>(1, rows / attr_int(conv, "group", 1));
  const bool biased = conv.inputs.size() > 2 && conv.inputs[2] != ValueId::kNone;
  Tensor bias = biased ? *constant(g, conv.inputs[2]) : Tensor(DType::kFloat, {rows});
  auto out = bias.mutable_data<float>();
  size_t at = 0;
  for (int64_t r = 0; r < rows; ++r) {
    double sum = out[static_cast<size_t>(r)];
    for (int64_t c = 0; c < columns; ++c) {
      const auto channel = static_cast<size_t>(r / each * columns + c);
      const double b = offset.values[offset.values.size() == 1 ? 0 : channel];
      for (int64_t p = 0; p < positions; ++p) sum += b * weight.data<float>()[at++];
    }
    out[static_cast<size_t>(r)] = static_cast<float>(sum);
  }
  conv.inputs.resize(3, ValueId::kNone);
  if (biased)
    g.initializers.at(conv.inputs[2]).data = std::move(bias);
  else
    conv.inputs[2] = add_initializer(g, conv.name + "/bias", std::move(bias));
}

// The value with a number around it, in the place of the convolution's zeros.
Node padded(Graph& g, Node& conv, ValueId value, float number) {
  const std::vector<int64_t> pads = pads_of(conv);
  const size_t half = pads.size() / 2;
  std::vector<int64_t> all(4 + pads.size(), 0);
  for (size_t d = 0; d < half; ++d) {
    all[2 + d] = pads[d];
    all[half + 4 + d] = pads[half + d];
  }
  Tensor amounts(DType::kInt64, {static_cast<int64_t>(all.size())});
  std::copy(all.begin(), all.end(), amounts.mutable_data<int64_t>().begin());
  Tensor fill(DType::kFloat, {});
  fill.mutable_data<float>()[0] = number;
  const std::string name = conv.name + "/pad";
  std::erase_if(conv.attributes, [](const Attribute& a) { return a.name == "pads"; });
  return make_node(g, name, "Pad",
                   {value, add_initializer(g, name + "/amounts", std::move(amounts)),
                    add_initializer(g, name + "/value", std::move(fill))},
                   {add_value(g, name, DType::kFloat)});
}

// The slot of a constant factor, one number, in what only one node reads, where a number divided by it is the number
// again when multiplied; −1: none.
int factor_slot(const Graph& g, const Uses& uses, ValueId value, float number) {
  const int32_t n = uses.producer[index(value)];
  if (n < 0 || uses.is_output[index(value)] || uses.consumers[index(value)].size() != 1) return -1;
  const Node& node = g.nodes[static_cast<size_t>(n)];
  for (int slot = 0; is(node, "Mul") && slot < 2; ++slot) {
    const Tensor* t = constant(g, node.inputs[static_cast<size_t>(slot)]);
    const auto& other = g.value(node.inputs[static_cast<size_t>(1 - slot)]).shape;
    if (!t || t->dtype() != DType::kFloat || t->size() != 1 || !other ||
        static_cast<int64_t>(other->size()) < t->rank())
      continue;
    const float m = t->data<float>()[0], again = number / m * m;
    if (std::fabs(again - number) <= 1e-6f * std::fabs(number)) return slot;
  }
  return -1;
}

// The convolution reads x with −b around it.
Node pad_input(Graph& g, const Uses& uses, Node& conv, const Offset& offset, bool only_reader) {
  const float number = -offset.values[0];
  const int slot = only_reader ? factor_slot(g, uses, offset.input, number) : -1;
  if (slot < 0) {
    Node pad = padded(g, conv, offset.input, number);
    conv.inputs[0] = pad.outputs[0];
    return pad;
  }
  Node& factor = g.nodes[static_cast<size_t>(uses.producer[index(offset.input)])];
  const float m = constant(g, factor.inputs[static_cast<size_t>(slot)])->data<float>()[0];
  ValueId& y = factor.inputs[static_cast<size_t>(1 - slot)];
  Node pad = padded(g, conv, y, number / m);
  y = pad.outputs[0];
  conv.inputs[0] = offset.input;
  g.value(offset.input).shape.reset();
  return pad;
}

}  // namespace

void fold_offsets(Model& model) {
  Graph& g = model.graph;
  const Uses uses = uses_of(g);
  std::vector<Node> pads;
  for (size_t n = 0, count = g.nodes.size(); n < count; ++n) {
    const auto offset = offset_of(g, g.nodes[n]);
    const ValueId value = g.nodes[n].outputs[0];
    if (!offset || uses.is_output[index(value)] || uses.consumers[index(value)].empty()) continue;
    const auto& readers = uses.consumers[index(value)];
    if (!std::ranges::all_of(readers, [&](int32_t r) {
          return takes_offset(g, uses, g.nodes[static_cast<size_t>(r)], value, *offset);
        }))
      continue;
    for (int32_t r : readers) {
      Node& conv = g.nodes[static_cast<size_t>(r)];
      const std::vector<int64_t> around = pads_of(conv);
      add_to_bias(g, conv, *offset);
      if (std::any_of(around.begin(), around.end(), [](int64_t p) { return p != 0; }))
        pads.push_back(pad_input(g, uses, conv, *offset, readers.size() == 1));
      else
        conv.inputs[0] = offset->input;
    }
  }
  for (Node& node : pads) g.nodes.push_back(std::move(node));
  sort_nodes(g);
  remove_dead(g);
}

}  // namespace qtool::passes
