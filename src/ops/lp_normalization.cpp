// LpNormalization: vectors along an axis divided by their L1 or L2 norm; a vector of zeros stays.
#include <cmath>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_lp_normalization(const Call& call) {
  const Tensor& x = call.in(0);
  const AxisView view =
      view_axis(x.shape(), normalize_axis(call.integer("axis", -1), x.rank(), call.node));
  const int64_t p = call.integer("p", 2);
  require(p == 1 || p == 2, call, "p is ", p, ", expected 1 or 2");
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    for (int64_t o = 0; o < view.outer; ++o) {
      for (int64_t i = 0; i < view.inner; ++i) {
        const int64_t base = o * view.length * view.inner + i;
        double sum = 0;
        for (int64_t k = 0; k < view.length; ++k) {
          const double v = in[base + k * view.inner];
          sum += p == 1 ? std::abs(v) : v * v;
        }
        const double norm = p == 1 ? sum : std::sqrt(sum);
        for (int64_t k = 0; k < view.length; ++k) {
          const int64_t at = base + k * view.inner;
          y[at] = norm == 0 ? T(0) : static_cast<T>(in[at] / norm);
        }
      }
    }
    return out;
  })};
}

}  // namespace

extern const OpDef kLpNormalization{.type = "LpNormalization",
                                    .eval = half_as_float<eval_lp_normalization>};

}  // namespace qtool
