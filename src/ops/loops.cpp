#include "ops/loops.hpp"

#include <algorithm>

namespace qtool {

Shape broadcast_strides(const Shape& from, const Shape& to) {
  Shape strides(to.size(), 0);
  const Shape dense = strides_of(from);
  const size_t shift = to.size() - from.size();
  for (size_t d = 0; d < from.size(); ++d) {
    if (from[d] != 1) strides[d + shift] = dense[d];
  }
  return strides;
}

AxisView view_axis(const Shape& shape, int64_t axis) {
  const auto at = shape.begin() + axis;
  return {element_count(Shape(shape.begin(), at)), *at, element_count(Shape(at + 1, shape.end()))};
}

std::vector<int64_t> normalize_axes(std::vector<int64_t> axes, int64_t rank, const Node& node) {
  for (int64_t& a : axes) a = normalize_axis(a, rank, node);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    throw_model("QT-E331", cat(node.type, ": an axis is listed twice"));
  }
  return axes;
}

}  // namespace qtool
