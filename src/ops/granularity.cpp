#include "ops/granularity.hpp"

namespace qtool {

Granularity resolve_granularity(const Call& call) {
  const Tensor &x = call.in(0), &scale = call.in(1);
  if (call.has(2)) {
    require(call.in(2).shape() == scale.shape() || (call.in(2).size() == 1 && scale.size() == 1),
            call, "zero point ", shape_text(call.in(2).shape()), " for scale ",
            shape_text(scale.shape()));
  }
  const int64_t block = call.opset < 21 ? 0 : call.integer("block_size", 0);
  require(block >= 0, call, "block_size is ", block);
  const bool one = scale.size() == 1 && scale.rank() <= 1;
  if (one && block == 0) return {{1, x.size(), 1}, 1, 0, false};
  require(call.opset >= 13, call, "a scale per axis needs opset 13");
  const int64_t axis = normalize_axis(call.integer("axis", 1), x.rank(), call.node);
  const AxisView view = view_axis(x.shape(), axis);
  if (block == 0) {
    require(scale.shape() == Shape{view.length}, call, "scale ", shape_text(scale.shape()),
            " for axis ", axis, " of ", shape_text(x.shape()));
    return {view, 1, view.length, false};
  }
  Shape expected = x.shape();
  expected[static_cast<size_t>(axis)] = (view.length + block - 1) / block;
  require(scale.shape() == expected, call, "scale ", shape_text(scale.shape()), " for blocks of ",
          block, ", expected ", shape_text(expected));
  return {view, block, expected[static_cast<size_t>(axis)], true};
}

std::vector<float> float_values(const Call& call, size_t i) {
  const Tensor wide = cast(call.in(i), DType::kFloat);
  const auto data = wide.data<float>();
  return {data.begin(), data.end()};
}

}  // namespace qtool
