// TopK: the k largest or smallest elements along an axis and where they are; ties go to the lower
// index.
#include <algorithm>

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

template <typename T>
struct Candidate {
  T value;
  int64_t index;
};

// Larger (or smaller) first, NaN as the largest, then the lower index.
template <bool largest>
struct ComesFirst {
  template <typename T>
  bool operator()(const Candidate<T>& a, const Candidate<T>& b) const {
    const T u = largest ? a.value : b.value, v = largest ? b.value : a.value;
    if (u > v || (u != u && v == v)) return true;
    return (u == v || (u != u && v != v)) && a.index < b.index;
  }
};

// The first k of the elements that lie `step` apart. Of those looked at so far at least the first k are kept; most
// others need one comparison, with the last of these.
template <bool largest, typename T>
std::vector<Candidate<T>> first_of(const T* x, int64_t length, int64_t step, int64_t k) {
  std::vector<Candidate<T>> kept;
  if (k == 0) return kept;
  const auto room = static_cast<size_t>(std::min(length, 2 * k + 64)),
             wanted = static_cast<size_t>(k);
  kept.reserve(room);
  const auto shrink = [&] {
    std::nth_element(kept.begin(), kept.begin() + (k - 1), kept.end(), ComesFirst<largest>{});
    kept.resize(wanted);
  };
  bool full = false;
  T last{};
  for (int64_t i = 0; i < length; ++i) {
    const T v = x[i * step];
    if (full && (largest ? v <= last : v >= last)) continue;  // equal ones have a lower index
    kept.push_back({v, i});
    if (kept.size() < room) continue;
    shrink();
    full = true;
    last = kept.back().value;
  }
  if (kept.size() > wanted) shrink();
  std::sort(kept.begin(), kept.end(), ComesFirst<largest>{});
  return kept;
}

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
    for (int64_t o = 0; o < view.outer; ++o) {
      for (int64_t i = 0; i < view.inner; ++i) {
        const T* p = in + o * view.length * view.inner + i;
        const auto first = largest ? first_of<true>(p, view.length, view.inner, k)
                                   : first_of<false>(p, view.length, view.inner, k);
        for (int64_t n = 0; n < k; ++n) {
          const int64_t at = (o * k + n) * view.inner + i;
          where[at] = first[static_cast<size_t>(n)].index;
          y[at] = first[static_cast<size_t>(n)].value;
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
