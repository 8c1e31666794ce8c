// Slice: every step-th element between two positions of each axis.
#include <algorithm>

#include "ops/movable.hpp"

namespace qtool {
namespace {

struct Range {
  int64_t first, step, count;
};

// ONNX "Slice": negative positions count from the end, then both are clamped.
Range resolve_range(const Call& call, int64_t start, int64_t end, int64_t step, int64_t size) {
  require(step != 0, call, "a step of 0");
  if (start < 0) start += size;
  if (end < 0) end += size;
  if (step > 0) {
    start = std::clamp<int64_t>(start, 0, size);
    end = std::clamp<int64_t>(end, 0, size);
  } else {
    start = std::clamp<int64_t>(start, -1, size - 1);
    end = std::clamp<int64_t>(end, -1, size - 1);
  }
  const int64_t distance = step > 0 ? end - start : start - end;
  if (distance <= 0) return {0, 1, 0};
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  const auto count = static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / stride) + 1;
  return {start, count > 1 ? step : 1, count};
}

std::vector<Tensor> eval_slice(const Call& call) {
  const Tensor& x = call.in(0);
  // Attributes before opset 10, inputs since.
  const bool inputs = call.opset >= 10;
  const auto list = [&](const char* name, size_t i) {
    if (!inputs) return call.integers(name);
    return i <= 2 || call.has(i) ? index_data(call, i) : std::vector<int64_t>{};
  };
  const std::vector<int64_t> starts = list("starts", 1), ends = list("ends", 2);
  std::vector<int64_t> axes = list("axes", 3), steps = list("steps", 4);
  if (axes.empty()) {
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (steps.empty() || !inputs) steps.assign(starts.size(), 1);
  require(
      ends.size() == starts.size() && axes.size() == starts.size() && steps.size() == starts.size(),
      call, "starts, ends, axes and steps have ", starts.size(), ", ", ends.size(), ", ",
      axes.size(), " and ", steps.size(), " entries");
  normalize_axes(axes, x.rank(), call.node);  // throws when one is listed twice
  Shape shape = x.shape(), strides = strides_of(x.shape());
  int64_t first = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(normalize_axis(axes[i], x.rank(), call.node));
    const Range range = resolve_range(call, starts[i], ends[i], steps[i], shape[d]);
    first += range.first * strides[d];
    shape[d] = range.count;
    strides[d] *= range.step;
  }
  if (shape == x.shape() && strides == strides_of(shape)) return {x};
  const Movable m(call, {x});
  return {m.restore(strided(m[0], shape, strides, first))};
}

}  // namespace

extern const OpDef kSlice{
    .type = "Slice", .eval = eval_slice, .quant = {.kind = QuantKind::kMovement}};

}  // namespace qtool
