// ArgMax and ArgMin: index of the extreme element along one axis.
#include <algorithm>

#include "ops/dispatch.hpp"
#include "ops/float_runs.hpp"
#include "ops/lanes.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

// Whether `b` takes the place of `a`, the extreme so far. As in NumPy the first NaN is the extreme.
template <bool largest, bool last, typename T>
QTOOL_INLINE bool replaces(T a, T b) {
  const bool worse = largest ? (last ? b < a : b <= a) : (last ? b > a : b >= a);
  return (a == a) & !worse;
}

// Columns side by side: where[i] = the index of the extreme among the `length` elements x[k * count + i].
template <bool largest, bool last, typename T>
QTOOL_INLINE void find_in_columns(const T* x, int64_t length, int64_t count, int64_t* where) {
  constexpr int64_t kBlock = 64;
  // As wide as an element where that is enough, for vectors.
  using Index = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t n = std::min(kBlock, count - begin);
    T best[kBlock];
    Index at[kBlock] = {};
    std::copy_n(x + begin, n, best);
    for (int64_t k = 1; k < length; ++k) {
      const T* row = x + k * count + begin;
      for (int64_t i = 0; i < n; ++i) {
        const T v = row[i];
        const bool better = replaces<largest, last>(best[i], v);
        best[i] = better ? v : best[i];
        at[i] = better ? static_cast<Index>(k) : at[i];
      }
    }
    std::copy_n(at, n, where + begin);
  }
}

template <bool largest, typename T>
QTOOL_INLINE void find_columns(const T* x, int64_t length, int64_t count, bool last,
                               int64_t* where) {
  last ? find_in_columns<largest, true>(x, length, count, where)
       : find_in_columns<largest, false>(x, length, count, where);
}
QTOOL_CLONES void find_largest(const float* x, int64_t length, int64_t count, bool last,
                               int64_t* where) {
  find_columns<true>(x, length, count, last, where);
}
QTOOL_CLONES void find_smallest(const float* x, int64_t length, int64_t count, bool last,
                                int64_t* where) {
  find_columns<false>(x, length, count, last, where);
}

template <bool largest>
int64_t find_in_row(const float* x, int64_t length, bool last) {
  const float extreme = largest ? largest_float(x, length) : smallest_float(x, length);
  const auto matches = [extreme](float v) { return v == extreme || v != v; };
  if (last && extreme == extreme) {
    int64_t i = length - 1;
    while (!matches(x[i])) --i;
    return i;
  }
  return std::find_if(x, x + length, matches) - x;
}

template <bool largest, typename T>
void find(const T* x, AxisView view, bool last, int64_t* where) {
  for (int64_t o = 0; o < view.outer; ++o, x += view.length * view.inner, where += view.inner) {
    if constexpr (!std::is_same_v<T, float>)
      find_columns<largest>(x, view.length, view.inner, last, where);
    else if (view.inner == 1)
      *where = find_in_row<largest>(x, view.length, last);
    else if (largest)
      find_largest(x, view.length, view.inner, last, where);
    else
      find_smallest(x, view.length, view.inner, last, where);
  }
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
  refuse(view.length > std::numeric_limits<int32_t>::max(), call, view.length,
         " elements along the axis are too many");
  int64_t* y = out.mutable_data<int64_t>().data();
  with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (out.size() > 0) find<largest>(x.data<T>().data(), view, last, y);
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
