// Loops over strided arrays: broadcasting, reductions, transposes and slices all run through these.
//
//   LoopNest<2> nest{shape, {strides_of(shape), broadcast_strides(a, shape)}};
//   for_each_run(simplified(nest),
//                [&](const auto& offset, int64_t count, const auto& step) { ... });
#pragma once

#include <array>

#include "qtool/ops.hpp"

namespace qtool {

// A nest of loops over `shape`, row-major, with one step in elements a dimension for each of N
// arrays.
template <size_t N>
struct LoopNest {
  Shape shape;
  std::array<Shape, N> strides;
};

// Strides that read an array of shape `from` as if it were broadcast to `to` (0 where repeated).
// `from` must broadcast to `to`.
Shape broadcast_strides(const Shape& from, const Shape& to);

// Dimensions of one dropped, neighbours that every array walks as one merged. At least one
// dimension remains; the order of visits is the same.
template <size_t N>
LoopNest<N> simplified(const LoopNest<N>& nest) {
  LoopNest<N> out;
  for (size_t d = 0; d < nest.shape.size(); ++d) {
    if (nest.shape[d] == 1) continue;
    bool merge = !out.shape.empty();
    for (size_t k = 0; merge && k < N; ++k) {
      merge = out.strides[k].back() == nest.strides[k][d] * nest.shape[d];
    }
    if (merge) {
      out.shape.back() *= nest.shape[d];
      for (size_t k = 0; k < N; ++k) out.strides[k].back() = nest.strides[k][d];
    } else {
      out.shape.push_back(nest.shape[d]);
      for (size_t k = 0; k < N; ++k) out.strides[k].push_back(nest.strides[k][d]);
    }
  }
  if (out.shape.empty()) {
    out.shape.push_back(1);
    for (Shape& s : out.strides) s.push_back(1);
  }
  return out;
}

// Calls fn(offsets, count, steps) for every run of the innermost dimension: element i of the run is
// at offsets[k] + i * steps[k] of array k. Not called when the shape has no elements.
template <size_t N, typename Fn>
void for_each_run(const LoopNest<N>& nest, Fn&& fn) {
  const size_t inner = nest.shape.size() - 1;
  for (int64_t d : nest.shape) {
    if (d == 0) return;
  }
  std::array<int64_t, N> offset{}, step{};
  for (size_t k = 0; k < N; ++k) step[k] = nest.strides[k][inner];
  std::vector<int64_t> at(inner, 0);
  while (true) {
    fn(static_cast<const std::array<int64_t, N>&>(offset), nest.shape[inner],
       static_cast<const std::array<int64_t, N>&>(step));
    size_t d = inner;
    while (d > 0) {
      --d;
      for (size_t k = 0; k < N; ++k) offset[k] += nest.strides[k][d];
      if (++at[d] < nest.shape[d]) break;
      for (size_t k = 0; k < N; ++k) offset[k] -= nest.strides[k][d] * nest.shape[d];
      at[d] = 0;
      if (d == 0) return;
    }
    if (inner == 0) return;
  }
}

// A shape seen as [outer, length, inner] around one axis.
struct AxisView {
  int64_t outer, length, inner;
};
AxisView view_axis(const Shape& shape, int64_t axis);

// Axes in [0, rank), sorted; throws Error{kModel} when one is out of range or repeated.
std::vector<int64_t> normalize_axes(std::vector<int64_t> axes, int64_t rank, const Node& node);

}  // namespace qtool
