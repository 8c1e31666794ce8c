// Concat and Split: tensors joined along one axis, and one tensor cut along it.
#include <utility>

#include "ops/movable.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_concat(const Call& call) {
  require(!call.inputs.empty(), call, "no inputs");
  const Tensor& first = call.in(0);
  require(call.opset < 4 || find_attribute(call.node, "axis"), call, "no axis is given");
  const int64_t axis = normalize_axis(call.integer("axis", 1), first.rank(), call.node);
  const auto at = static_cast<size_t>(axis);
  Shape shape = first.shape();
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    Shape other = call.in(i).shape();
    require(other.size() == shape.size(), call, "inputs ", shape_text(first.shape()), " and ",
            shape_text(other), " have other ranks");
    const int64_t length = std::exchange(other[at], shape[at]);
    require(other == shape, call, "inputs ", shape_text(first.shape()), " and ",
            shape_text(call.in(i).shape()), " do not fit along axis ", axis);
    shape[at] = checked_add(shape[at], length, call);
  }
  const Movable m(call, {call.inputs.begin(), call.inputs.end()});
  Tensor out = Tensor::uninitialized(m[0].dtype(), shape);
  if (out.size() == 0) return {m.restore(out)};
  const AxisView view = view_axis(shape, axis);
  const int64_t width = view.inner * width_of(m[0]), row = view.length * width;
  char* to = bytes_of(out);
  for (size_t i = 0; i < m.size(); ++i) {
    const int64_t part = m[i].dim(axis) * width;
    const char* from = bytes_of(m[i]);
    for (int64_t o = 0; o < view.outer && part > 0; ++o) {
      std::memcpy(to + o * row, from + o * part, static_cast<size_t>(part));
    }
    to += part;
  }
  return {m.restore(out)};
}

// Lengths of the outputs: given, or equal with a smaller last one.
std::vector<int64_t> split_lengths(const Call& call, int64_t length) {
  const auto count = static_cast<int64_t>(call.outputs());
  std::vector<int64_t> lengths = call.integers_or_input("split", 1);
  if (lengths.empty()) {
    const int64_t parts = call.integer("num_outputs", count);
    require(parts == count && parts > 0, call, "num_outputs is ", parts, " with ", count,
            " outputs");
    const int64_t part = (length + parts - 1) / parts;
    require(call.opset >= 18 || part * parts == length, call, "dimension of ", length,
            " does not split into ", parts, " equal parts");
    lengths.assign(static_cast<size_t>(parts), part);
    lengths.back() = length - part * (parts - 1);
  }
  require(static_cast<int64_t>(lengths.size()) == count, call, lengths.size(), " parts with ",
          count, " outputs");
  require_parts(call, lengths, length);
  return lengths;
}

std::vector<Tensor> eval_split(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t axis = normalize_axis(call.integer("axis", 0), x.rank(), call.node);
  const std::vector<int64_t> lengths = split_lengths(call, x.dim(axis));
  const Movable m(call, {x});
  const Shape strides = strides_of(x.shape());
  std::vector<Tensor> outputs;
  int64_t first = 0;
  for (const int64_t length : lengths) {
    Shape shape = x.shape();
    shape[static_cast<size_t>(axis)] = length;
    outputs.push_back(m.restore(strided(m[0], shape, strides, first)));
    first += length * strides[static_cast<size_t>(axis)];
  }
  return outputs;
}

}  // namespace

extern const OpDef kConcat{
    .type = "Concat", .eval = eval_concat, .quant = {.kind = QuantKind::kJoint}};
extern const OpDef kSplit{
    .type = "Split", .eval = eval_split, .quant = {.kind = QuantKind::kMovement}};

}  // namespace qtool
