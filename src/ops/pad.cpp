// Pad and CenterCropPad: elements added to, or taken from, both ends of each axis.
#include <algorithm>
#include <numeric>

#include "ops/movable.hpp"

namespace qtool {
namespace {

struct Pads {
  std::vector<int64_t> begin, end;  // one entry a dimension; negative: elements are cut off
};

Pads resolve_pads(const Call& call, int64_t rank) {
  const std::vector<int64_t> pads = call.integers_or_input(call.opset < 2 ? "paddings" : "pads", 1);
  std::vector<int64_t> axes = call.has(3) ? index_data(call, 3) : std::vector<int64_t>{};
  if (!call.has(3)) {
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  normalize_axes(axes, rank, call.node);  // throws when one is listed twice
  require(pads.size() == 2 * axes.size(), call, pads.size(), " pads for ", axes.size(), " axes");
  const auto dims = static_cast<size_t>(rank);
  Pads out{std::vector<int64_t>(dims, 0), std::vector<int64_t>(dims, 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(normalize_axis(axes[i], rank, call.node));
    out.begin[d] = pads[i];
    out.end[d] = pads[i + axes.size()];
  }
  return out;
}

// Cuts off what negative pads say and leaves the others, none of them negative.
Tensor crop(const Call& call, const Tensor& x, Pads& pads) {
  Shape shape = x.shape();
  const Shape strides = strides_of(shape);
  int64_t first = 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    for (std::vector<int64_t>* side : {&pads.begin, &pads.end}) {
      const int64_t cut = -std::max(std::min<int64_t>((*side)[d], 0), -INT64_MAX);
      require(cut <= shape[d], call, "pads cut ", cut, " of ", shape[d], " elements");
      shape[d] -= cut;
      if (side == &pads.begin) first += cut * strides[d];
      (*side)[d] = std::max<int64_t>((*side)[d], 0);
    }
  }
  return shape == x.shape() ? x : strided(x, shape, strides, first);
}

Shape padded_shape(const Call& call, Shape shape, const Pads& pads) {
  for (size_t d = 0; d < shape.size(); ++d) {
    shape[d] = checked_add(checked_add(shape[d], pads.begin[d], call), pads.end[d], call);
  }
  element_count(shape);  // throws for absurd dimensions
  return shape;
}

Tensor pad_constant(const Tensor& x, Tensor out, const Pads& pads) {
  if (x.size() == 0) return out;
  const Shape strides = strides_of(out.shape());
  int64_t first = 0;
  for (size_t d = 0; d < strides.size(); ++d) first += pads.begin[d] * strides[d];
  const int64_t width = width_of(x);
  copy_elements({x.shape(), {strides, strides_of(x.shape())}}, bytes_of(out) + first * width,
                bytes_of(x), width);
  return out;
}

// Where position i, which may lie outside [0, size), reads from.
int64_t source_position(const std::string& mode, int64_t i, int64_t size) {
  if (mode == "edge") return std::clamp<int64_t>(i, 0, size - 1);
  const int64_t period = mode == "wrap" ? size : std::max<int64_t>(1, 2 * (size - 1));
  const int64_t at = (i % period + period) % period;
  return at < size ? at : period - at;
}

Tensor pad_from_itself(const Call& call, Tensor x, const Pads& pads, const std::string& mode) {
  if (element_count(padded_shape(call, x.shape(), pads)) == 0) {
    return Tensor(x.dtype(), padded_shape(call, x.shape(), pads));
  }
  for (int64_t d = 0; d < x.rank(); ++d) {
    const int64_t begin = pads.begin[static_cast<size_t>(d)],
                  end = pads.end[static_cast<size_t>(d)];
    if (begin == 0 && end == 0) continue;
    const int64_t size = x.dim(d);
    require(size > 0, call, "mode '", mode, "' on an empty dimension");
    // Asks the allocation limit before the list of positions is made.
    Shape shape = x.shape();
    shape[static_cast<size_t>(d)] = begin + size + end;
    Tensor::uninitialized(DType::kInt64, {begin + size + end});
    Tensor::uninitialized(x.dtype(), shape);
    std::vector<int64_t> positions;
    positions.reserve(static_cast<size_t>(begin + size + end));
    for (int64_t i = -begin; i < size + end; ++i)
      positions.push_back(source_position(mode, i, size));
    x = take(x, d, positions);
  }
  return x;
}

// The tensor of one element that constant mode repeats; undefined: zero.
Tensor pad_value(const Call& call) {
  if (call.has(2)) {
    require(call.in(2).size() == 1, call, "constant_value has ", call.in(2).size(), " elements");
    return call.in(2).reshaped({});
  }
  if (call.opset >= 11 || !find_attribute(call.node, "value")) return {};
  return cast(Tensor::scalar(call.real("value", 0)), call.in(0).dtype());
}

std::vector<Tensor> eval_pad(const Call& call) {
  const Tensor& input = call.in(0);
  const std::string mode = call.text("mode", "constant");
  require(mode == "constant" || mode == "reflect" || mode == "edge" || mode == "wrap", call,
          "mode '", printable(mode), "' is not known");
  const Tensor value = pad_value(call);
  const Movable m(call,
                  value.defined() ? std::vector<Tensor>{input, value} : std::vector<Tensor>{input});
  Pads pads = resolve_pads(call, input.rank());
  const Tensor x = crop(call, m[0], pads);
  if (mode != "constant") return {m.restore(pad_from_itself(call, x, pads, mode))};
  const Shape shape = padded_shape(call, x.shape(), pads);
  const Tensor background = value.defined() ? filled(m[1], shape) : Tensor(x.dtype(), shape);
  return {m.restore(pad_constant(x, background, pads))};
}

std::vector<Tensor> eval_center_crop_pad(const Call& call) {
  const Tensor& input = call.in(0);
  const std::vector<int64_t> sizes = index_data(call, 1);
  std::vector<int64_t> axes = call.integers("axes");
  if (!find_attribute(call.node, "axes")) {
    axes.resize(static_cast<size_t>(input.rank()));
    std::iota(axes.begin(), axes.end(), 0);
  }
  normalize_axes(axes, input.rank(), call.node);  // throws when one is listed twice
  require(sizes.size() == axes.size(), call, sizes.size(), " sizes for ", axes.size(), " axes");
  const std::vector<int64_t> none(static_cast<size_t>(input.rank()), 0);
  Pads pads{none, none};
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(normalize_axis(axes[i], input.rank(), call.node));
    require(sizes[i] >= 0, call, "a size of ", sizes[i]);
    // The odd element is cut off, or added, at the end.
    const int64_t more = sizes[i] - input.shape()[d];
    pads.begin[d] = more / 2;
    pads.end[d] = more - more / 2;
  }
  const Movable m(call, {input});
  const Tensor x = crop(call, m[0], pads);
  return {m.restore(pad_constant(x, Tensor(x.dtype(), padded_shape(call, x.shape(), pads)), pads))};
}

}  // namespace

// The plan asks whether the value that constant mode adds is one that the input's parameters can
// express; zero always is.
extern const OpDef kPad{
    .type = "Pad", .eval = eval_pad, .quant = {.kind = QuantKind::kMovement, .fill_input = 2}};
extern const OpDef kCenterCropPad{
    .type = "CenterCropPad",
    .since = 18,
    .eval = eval_center_crop_pad,
    .quant = {.reason = "cropping to a size that is an input is left in float"}};

}  // namespace qtool
