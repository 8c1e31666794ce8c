// TopK: the k largest or smallest elements along an axis and where they are; ties go to the lower
// index.
#include <algorithm>
#include <numeric>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

// k is an attribute of opset 1 and an input since 10.
int64_t requested_count(const Call& call, int64_t length) {
  int64_t k = call.integer("k", 0);
  if (call.opset >= 10) {
    const Tensor& t = call.in(1);
    require(t.dtype() == DType::kInt64 && t.size() == 1, call, "K must be one int64");
    k = t.integer(0);
  }
  require(k >= 0 && k <= length, call, "K is ", k, " on an axis of ", length);
  return k;
}

// Orders indices of `x`: larger (or smaller) first, NaN as the largest, then the lower index.
template <typename T>
struct Before {
  const T* x;
  int64_t step;
  bool largest;
  bool operator()(int64_t a, int64_t b) const {
    const T u = x[a * step], v = x[b * step];
    const bool nan_u = u != u, nan_v = v != v;
    if (nan_u != nan_v) return largest ? nan_u : nan_v;
    if (!nan_u && u != v) return largest ? u > v : u < v;
    return a < b;
  }
};

std::vector<Tensor> eval_topk(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t axis = normalize_axis(call.integer("axis", -1), x.rank(), call.node);
  const AxisView view = view_axis(x.shape(), axis);
  const int64_t k = requested_count(call, view.length);
  const bool largest = call.integer("largest", 1) != 0;
  Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = k;
  Tensor values = Tensor::uninitialized(x.dtype(), shape), indices(DType::kInt64, shape);
  int64_t* where = indices.mutable_data<int64_t>().data();
  with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>().data();
    T* y = values.mutable_data<T>().data();
    std::vector<int64_t> order(static_cast<size_t>(view.length));
    for (int64_t o = 0; o < view.outer; ++o) {
      for (int64_t i = 0; i < view.inner; ++i) {
        const T* p = in + o * view.length * view.inner + i;
        std::iota(order.begin(), order.end(), 0);
        std::partial_sort(order.begin(), order.begin() + k, order.end(),
                          Before<T>{p, view.inner, largest});
        for (int64_t n = 0; n < k; ++n) {
          const int64_t at = (o * k + n) * view.inner + i;
          where[at] = order[static_cast<size_t>(n)];
          y[at] = p[where[at] * view.inner];
        }
      }
    }
  });
  return {values, indices};
}

}  // namespace

extern const OpDef kTopK{.type = "TopK",
                         .eval = half_as_float<eval_topk>,
                         .quant = {.reason = "which elements are chosen depends on the data"}};

}  // namespace qtool
