// PRelu: x, or slope · x where x is negative; the slope is broadcast to x.
#include "ops/elementwise.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_prelu(const Call& call) {
  const Tensor& x = call.in(0);
  Tensor slope = call.in(1);
  require_same_type(call, x, slope);
  // Before opset 7 a slope of one dimension is one value a channel.
  if (call.opset < 7 && slope.rank() == 1 && slope.size() > 1 && x.rank() > 1) {
    Shape shape(static_cast<size_t>(x.rank() - 1), 1);
    shape[0] = slope.size();
    slope = slope.reshaped(shape);
  }
  require(broadcast(x.shape(), slope.shape()) == x.shape(), call, "slope ",
          shape_text(slope.shape()), " does not broadcast to ", shape_text(x.shape()));
  return {with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return zip<T, T, T>(x, slope, [](T v, T s) { return v < 0 ? static_cast<T>(s * v) : v; });
  })};
}

}  // namespace

extern const OpDef kPRelu{
    .type = "PRelu",
    .eval = half_as_float<eval_prelu>,
    .quant = {.reason = "negative values are scaled, which no folded activation does"}};

}  // namespace qtool
