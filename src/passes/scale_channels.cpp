// Channels of a value times a factor each: what makes the value takes the factor, what reads it the
// inverse, and the model computes what it did (cross-layer equalization, arXiv 1906.04721, section 4.1).
#include <algorithm>

#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool {
namespace {

using passes::constant, passes::own_constant;

// f(s·x) = s·f(x) for s > 0, channel by channel.
bool keeps_factors(const Node& node) {
  static constexpr std::string_view kTypes[] = {"Relu",          "LeakyRelu",        "PRelu",
                                                "MaxPool",       "AveragePool",      "Identity",
                                                "GlobalMaxPool", "GlobalAveragePool"};
  return std::ranges::any_of(kTypes, [&](std::string_view type) { return is(node, type); });
}

// Of the layer's weight: where its output channels lie.
int64_t row_axis(const Node& node) {
  const bool turned = is(node, "Gemm") && !attr_int(node, "transB", 0);
  return is(node, "ConvTranspose") || turned ? 1 : 0;
}

// A layer whose weight and bias (one a channel) are constants of its own, channels of its result at axis 1.
bool takes_factors(const Graph& g, const Uses& uses, const Node& node) {
  const auto own = [&](size_t slot) {
    return slot < node.inputs.size() ? own_constant(g, uses, node.inputs[slot]) : nullptr;
  };
  const bool gemm = is(node, "Gemm") && attr_float(node, "alpha", 1) == 1 &&
                    attr_float(node, "beta", 1) == 1 && !attr_int(node, "transA", 0);
  if (!gemm && !is(node, "Conv") && !(is(node, "ConvTranspose") && attr_int(node, "group", 1) == 1))
    return false;
  const Tensor *weight = own(1), *bias = own(2);
  const bool biased = node.inputs.size() > 2 && node.inputs[2] != ValueId::kNone;
  return weight &&
         (!biased || (bias && bias->rank() == 1 && bias->size() == weight->dim(row_axis(node))));
}

// The nodes that make a value, from it upwards; the last can take its factors.
using Chain = std::vector<int32_t>;

class Finder {
 public:
  explicit Finder(const Model& model) : g_(model.graph), uses_(uses_of(model.graph)) {}

  // Its readers; empty when factors on its channels would change the model.
  std::vector<ChannelReader> readers(ValueId value) const {
    const auto& shape = g_.value(value).shape;
    if (!shape || shape->size() < 2 || (*shape)[1] <= 0 || !is_private(value)) return {};
    std::vector<ChannelReader> found;
    for (int32_t n : uses_.consumers[index(value)]) {
      const Node& node = g_.nodes[static_cast<size_t>(n)];
      const bool matrix = is(node, "Gemm") && !attr_int(node, "transA", 0);
      const bool layer = is(node, "Conv") || is(node, "ConvTranspose") ||
                         ((matrix || is(node, "MatMul")) && shape->size() == 2);
      const Tensor* weight =
          node.inputs.size() > 1 ? own_constant(g_, uses_, node.inputs[1]) : nullptr;
      if (!layer || node.inputs[0] != value || !weight || weight->rank() < 2) return {};
      found.push_back(reader_of(node, *weight));
      if (found.back().channels() != (*shape)[1]) return {};
    }
    return found;
  }

  std::optional<Chain> chain(ValueId value) const {
    Chain chain;
    const int64_t channels = (*g_.value(value).shape)[1];
    for (ValueId v = value;;) {
      const int32_t n = uses_.producer[index(v)];
      if (n < 0 || (v != value && !(is_private(v) && uses_.consumers[index(v)].size() == 1)))
        return std::nullopt;
      // A constant with more channels than the value broadcasts it.
      const auto& shape = g_.value(v).shape;
      if (!shape || shape->size() < 2 || (*shape)[1] != channels) return std::nullopt;
      const Node& node = g_.nodes[static_cast<size_t>(n)];
      chain.push_back(n);
      if (takes_factors(g_, uses_, node)) return chain;
      if (const int side = constant_operand(node, channels); side >= 0) {
        if (is(node, "Mul")) return chain;
        v = node.inputs[static_cast<size_t>(1 - side)];
      } else if (keeps_factors(node) && node.outputs[0] == v) {
        v = node.inputs[0];
      } else {
        return std::nullopt;
      }
    }
  }

  const Uses& uses() const { return uses_; }

 private:
  bool is_private(ValueId v) const {
    return !uses_.is_output[index(v)] && !uses_.consumers[index(v)].empty();
  }

  static ChannelReader reader_of(const Node& node, const Tensor& weight) {
    const ValueId id = node.inputs[1];
    if (is(node, "Conv")) return {id, &weight, 0, 1, attr_int(node, "group", 1)};
    if (is(node, "ConvTranspose")) return {id, &weight, 1, 0, 1};
    const bool turned = attr_int(node, "transB", 0) != 0;
    return {id, &weight, turned ? 0 : weight.rank() - 1, turned ? 1 : weight.rank() - 2, 1};
  }

  // The slot of a Mul's or Add's operand that is one number, or one a channel; −1: none.
  int constant_operand(const Node& node, int64_t channels) const {
    if (!is(node, "Mul") && !is(node, "Add")) return -1;
    const auto& shape = g_.value(node.outputs[0]).shape;
    for (size_t side = 0; side < 2 && shape; ++side) {
      const Tensor* t = constant(g_, node.inputs[side]);
      if (!t || t->dtype() != DType::kFloat || t->rank() > static_cast<int64_t>(shape->size()))
        continue;
      const int64_t axis = t->rank() - static_cast<int64_t>(shape->size()) + 1;
      if (t->size() == 1 || (t->size() == channels && axis >= 0 && t->dim(axis) == channels))
        return static_cast<int>(side);
    }
    return -1;
  }

  const Graph& g_;
  Uses uses_;
};

void multiply(Tensor& t, int64_t axis, std::span<const float> factors) {
  auto data = t.mutable_data<float>();
  int64_t inner = 1;
  for (int64_t d = axis + 1; d < t.rank(); ++d) inner *= t.dim(d);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] *= factors[static_cast<size_t>(static_cast<int64_t>(i) / inner % t.dim(axis))];
}

// What makes the value takes the factors.
void scale_chain(Graph& g, const Chain& chain, std::span<const float> factors) {
  const auto channels = static_cast<int64_t>(factors.size());
  for (int32_t n : chain) {
    Node& node = g.nodes[static_cast<size_t>(n)];
    if (keeps_factors(node)) continue;
    if (is(node, "Mul") || is(node, "Add")) {
      const size_t side = constant(g, node.inputs[0]) ? 0 : 1;
      const Tensor& old = *constant(g, node.inputs[side]);
      Shape shape(g.value(node.outputs[0]).shape->size() - 1, 1);
      shape[0] = channels;
      Tensor wide(DType::kFloat, shape);
      auto data = wide.mutable_data<float>();
      for (size_t c = 0; c < data.size(); ++c)
        data[c] = static_cast<float>(old.number(old.size() == 1 ? 0 : static_cast<int64_t>(c))) *
                  factors[c];
      node.inputs[side] =
          add_initializer(g, cat(g.value(node.inputs[side]).name, "/scaled"), std::move(wide));
      continue;
    }
    multiply(g.initializers.at(node.inputs[1]).data, row_axis(node), factors);
    if (node.inputs.size() > 2 && node.inputs[2] != ValueId::kNone)
      multiply(g.initializers.at(node.inputs[2]).data, 0, factors);
  }
}

}  // namespace

int64_t ChannelReader::channels() const { return weight->dim(channel_axis) * groups; }

void ChannelReader::for_each(
    const std::function<void(int64_t row, int64_t channel, size_t element)>& visit) const {
  // [outer][first of both axes][middle][second][inner]
  const int64_t first = std::min(row_axis, channel_axis), second = std::max(row_axis, channel_axis);
  int64_t outer = 1, middle = 1, inner = 1;
  for (int64_t d = 0; d < weight->rank(); ++d) {
    if (d == first || d == second) continue;
    (d < first ? outer : d < second ? middle : inner) *= weight->dim(d);
  }
  const int64_t each = std::max<int64_t>(1, weight->dim(row_axis) / groups);
  size_t element = 0;
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t a = 0; a < weight->dim(first); ++a) {
      for (int64_t m = 0; m < middle; ++m) {
        for (int64_t b = 0; b < weight->dim(second); ++b) {
          const int64_t row = first == row_axis ? a : b;
          const int64_t channel =
              row / each * weight->dim(channel_axis) + (first == row_axis ? b : a);
          for (int64_t i = 0; i < inner; ++i) visit(row, channel, element++);
        }
      }
    }
  }
}

std::vector<ScalableValue> scalable_values(const Model& model) {
  const Finder finder(model);
  std::vector<ScalableValue> found;
  for (size_t v = 0; v < model.graph.values.size(); ++v) {
    const auto id = static_cast<ValueId>(v);
    std::vector<ChannelReader> readers = finder.readers(id);
    if (!readers.empty() && finder.chain(id))
      found.push_back({model.graph.values[v].name, std::move(readers)});
  }
  return found;
}

namespace passes {

bool scale_channels(Model& model, const ChannelEdit& edit) {
  if (!edit.shifts.empty() || !edit.copies.empty()) return false;
  const Finder finder(model);
  const ValueId value = model.graph.find(edit.value);
  const auto readers =
      value == ValueId::kNone ? std::vector<ChannelReader>{} : finder.readers(value);
  const auto chain = readers.empty() ? std::nullopt : finder.chain(value);
  if (!chain || readers[0].channels() != static_cast<int64_t>(edit.factors.size())) return false;
  for (const ChannelReader& reader : readers) {
    Tensor& weight = model.graph.initializers.at(reader.weight_value).data;
    auto data = weight.mutable_data<float>();
    reader.for_each([&](int64_t, int64_t channel, size_t element) {
      data[element] /= edit.factors[static_cast<size_t>(channel)];
    });
  }
  scale_chain(model.graph, *chain, edit.factors);
  return true;
}

}  // namespace passes

Model edit_channels(const Model& model, const std::vector<ChannelEdit>& edits) {
  Model m = model;
  for (const ChannelEdit& edit : edits) {
    if (passes::scale_channels(m, edit)) continue;
    passes::edit_dense_input(m, edit);
    sort_nodes(m.graph);
  }
  sort_nodes(m.graph);
  remove_dead(m.graph);
  verify(m.graph);
  return m;
}

}  // namespace qtool
