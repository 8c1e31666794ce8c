// CumSum and CumProd: running sums and products along an axis.
#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

template <bool product, typename A, typename T>
A extend(A total, T x) {
  if constexpr (std::is_integral_v<A>) {
    return product ? total * static_cast<A>(x) : total + static_cast<A>(x);
  } else {
    return product ? total * x : total + x;
  }
}

template <bool product, typename T>
Tensor accumulate(const Call& call, const AxisView& view) {
  // Whole numbers wrap, floats are accumulated in double.
  using A = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
  const bool exclusive = call.integer("exclusive", 0) != 0;
  const bool reverse = call.integer("reverse", 0) != 0;
  const Tensor& x = call.in(0);
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  const T* in = x.data<T>().data();
  T* y = out.mutable_data<T>().data();
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < view.inner; ++i) {
      A total = product ? 1 : 0;
      for (int64_t k = 0; k < view.length; ++k) {
        const int64_t at = (o * view.length + (reverse ? view.length - 1 - k : k)) * view.inner + i;
        if (exclusive) y[at] = static_cast<T>(total);
        total = extend<product>(total, in[at]);
        if (!exclusive) y[at] = static_cast<T>(total);
      }
    }
  }
  return out;
}

template <bool product>
std::vector<Tensor> eval_cumulative(const Call& call) {
  const Tensor &x = call.in(0), &axis = call.in(1);
  require(axis.size() == 1 && is_integer(axis.dtype()), call, "axis must be one whole number");
  const AxisView view = view_axis(x.shape(), normalize_axis(axis.integer(0), x.rank(), call.node));
  return {with_number(call, x.dtype(),
                      [&](auto zero) { return accumulate<product, decltype(zero)>(call, view); })};
}

}  // namespace

extern const OpDef kCumSum{
    .type = "CumSum", .since = 11, .eval = half_as_float<eval_cumulative<false>>};
extern const OpDef kCumProd{
    .type = "CumProd", .since = 26, .eval = half_as_float<eval_cumulative<true>>};

}  // namespace qtool
