// SwiGLU: a · sigmoid(alpha · a) · b.
#include "ops/elementwise.hpp"
#include "ops/map.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_swiglu(const Call& call) {
  const Tensor &a = call.in(0), &b = call.in(1);
  require_same_type(call, a, b);
  require(a.shape() == b.shape(), call, "inputs are ", shape_text(a.shape()), " and ",
          shape_text(b.shape()));
  return {with_float(call, a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T alpha = call.real("alpha", 1);
    return zip<T, T, T>(a, b, [alpha](T x, T y) { return x * sigmoid(alpha * x) * y; });
  })};
}

}  // namespace

extern const OpDef kSwiGLU{.type = "SwiGLU", .since = 28, .eval = half_as_float<eval_swiglu>};

}  // namespace qtool
