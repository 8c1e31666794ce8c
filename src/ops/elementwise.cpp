#include "ops/elementwise.hpp"

namespace qtool {

std::pair<Tensor, Tensor> broadcast_inputs(const Call& call) {
  Tensor a = call.in(0), b = call.in(1);
  if (call.opset >= 7 || call.integer("broadcast", 0) == 0) return {a, b};
  const int64_t axis = call.integer("axis", a.rank() - b.rank());
  require(axis >= 0 && axis + b.rank() <= a.rank(), call, "axis ", axis, " does not align ",
          shape_text(b.shape()), " with ", shape_text(a.shape()));
  Shape shape = b.shape();
  shape.resize(static_cast<size_t>(a.rank() - axis), 1);
  return {a, b.reshaped(shape)};
}

}  // namespace qtool
