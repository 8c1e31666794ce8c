// CumSum and CumProd: running sums and products along an axis.
#include <algorithm>

#include "ops/dispatch.hpp"
#include "ops/lanes.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

template <bool product, typename A, typename T>
QTOOL_INLINE A extend(A total, T x) {
  if constexpr (std::is_integral_v<A>) {
    return product ? total * static_cast<A>(x) : total + static_cast<A>(x);
  } else {
    return product ? total * x : total + x;
  }
}

struct Direction {
  bool exclusive, reverse;
};

// `count` of the columns that lie side by side: `block` if `full`, so that their totals are registers, else less. Whole
// numbers wrap, floats are accumulated in double.
template <bool product, int64_t block, bool full, typename T>
QTOOL_INLINE void accumulate(const T* x, AxisView view, int64_t count, Direction direction, T* y) {
  using A = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
  const int64_t n = full ? block : count;
  A total[block];
  std::fill_n(total, n, A(product ? 1 : 0));
  for (int64_t k = 0; k < view.length; ++k) {
    const int64_t at = (direction.reverse ? view.length - 1 - k : k) * view.inner;
    for (int64_t i = 0; i < n; ++i) {
      const A before = total[i], after = extend<product>(before, x[at + i]);
      y[at + i] = static_cast<T>(direction.exclusive ? before : after);
      total[i] = after;
    }
  }
}

template <bool product, typename T>
QTOOL_INLINE void accumulate_all(const T* x, AxisView view, Direction direction, T* y) {
  constexpr int64_t kBlock = 32;
  const int64_t step = view.length * view.inner;
  for (int64_t o = 0; o < view.outer; ++o, x += step, y += step) {
    if (view.inner == 1) {
      accumulate<product, 1, true>(x, view, 1, direction, y);
      continue;
    }
    int64_t i = 0;
    for (; i + kBlock <= view.inner; i += kBlock)
      accumulate<product, kBlock, true>(x + i, view, kBlock, direction, y + i);
    accumulate<product, kBlock, false>(x + i, view, view.inner - i, direction, y + i);
  }
}

QTOOL_CLONES void run_sums(const float* x, AxisView view, Direction direction, float* y) {
  accumulate_all<false>(x, view, direction, y);
}

template <bool product>
std::vector<Tensor> eval_cumulative(const Call& call) {
  const Tensor &x = call.in(0), &axis = call.in(1);
  require(axis.size() == 1 && is_integer(axis.dtype()), call, "axis must be one whole number");
  const AxisView view = view_axis(x.shape(), normalize_axis(axis.integer(0), x.rank(), call.node));
  const Direction direction{call.integer("exclusive", 0) != 0, call.integer("reverse", 0) != 0};
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>().data();
    T* to = out.mutable_data<T>().data();
    if constexpr (std::is_same_v<T, float> && !product)
      run_sums(from, view, direction, to);
    else
      accumulate_all<product>(from, view, direction, to);
  });
  return {out};
}

}  // namespace

extern const OpDef kCumSum{
    .type = "CumSum", .since = 11, .eval = half_as_float<eval_cumulative<false>>};
extern const OpDef kCumProd{
    .type = "CumProd", .since = 26, .eval = half_as_float<eval_cumulative<true>>};

}  // namespace qtool
