// ArgMax and ArgMin: index of the extreme element along one axis.
#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

// Whether `b` takes the place of `a`, the extreme so far. As in NumPy the first NaN is the extreme.
template <bool largest, typename T>
bool replaces(T a, T b, bool ties) {
  if (a != a) return false;
  if (b != b) return true;
  return (largest ? b > a : b < a) || (ties && a == b);
}

template <bool largest>
std::vector<Tensor> eval_arg(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t axis = normalize_axis(call.integer("axis", 0), x.rank(), call.node);
  const bool last = call.integer("select_last_index", 0) != 0;
  const AxisView view = view_axis(x.shape(), axis);
  Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = 1;
  if (call.integer("keepdims", 1) == 0) shape.erase(shape.begin() + axis);
  Tensor out(DType::kInt64, shape);
  require(view.length > 0 || out.size() == 0, call, "axis ", axis, " has no elements");
  int64_t* y = out.mutable_data<int64_t>().data();
  with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>().data();
    for (int64_t o = 0; o < view.outer; ++o) {
      for (int64_t i = 0; i < view.inner; ++i) {
        const T* p = in + o * view.length * view.inner + i;
        int64_t best = 0;
        for (int64_t k = 1; k < view.length; ++k) {
          if (replaces<largest>(p[best * view.inner], p[k * view.inner], last)) best = k;
        }
        y[o * view.inner + i] = best;
      }
    }
  });
  return {out};
}

constexpr QuantRule kIndices{.reason = "the output is an index, not a value"};

}  // namespace

extern const OpDef kArgMax{
    .type = "ArgMax", .eval = half_as_float<eval_arg<true>>, .quant = kIndices};
extern const OpDef kArgMin{
    .type = "ArgMin", .eval = half_as_float<eval_arg<false>>, .quant = kIndices};

}  // namespace qtool
