// Softmax, LogSoftmax and Hardmax. Before opset 13 the tensor is seen as a matrix cut at `axis`;
// since then one axis is normalised.
#include <cmath>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

AxisView softmax_view(const Call& call) {
  const Tensor& x = call.in(0);
  // A scalar is one element to normalise.
  if (x.rank() == 0) return {1, 1, 1};
  if (call.opset >= 13) {
    return view_axis(x.shape(), normalize_axis(call.integer("axis", -1), x.rank(), call.node));
  }
  const int64_t axis = call.integer("axis", 1);
  const int64_t cut = axis == x.rank() ? axis : normalize_axis(axis, x.rank(), call.node);
  const auto middle = x.shape().begin() + cut;
  return {element_count(Shape(x.shape().begin(), middle)),
          element_count(Shape(middle, x.shape().end())), 1};
}

enum class Kind { kSoftmax, kLog, kHard };

// One vector of `length` elements `step` apart.
template <Kind kind, typename T>
void normalize(const T* x, T* y, int64_t length, int64_t step) {
  int64_t best = 0;
  for (int64_t k = 1; k < length; ++k) {
    if (x[k * step] > x[best * step]) best = k;
  }
  if constexpr (kind == Kind::kHard) {
    for (int64_t k = 0; k < length; ++k) y[k * step] = k == best ? T(1) : T(0);
    return;
  }
  const T peak = x[best * step];
  double sum = 0;
  for (int64_t k = 0; k < length; ++k) {
    const T e = std::exp(x[k * step] - peak);
    sum += e;
    if constexpr (kind == Kind::kSoftmax) y[k * step] = e;
  }
  const T log_sum = static_cast<T>(std::log(sum));
  for (int64_t k = 0; k < length; ++k) {
    if constexpr (kind == Kind::kSoftmax)
      y[k * step] = static_cast<T>(y[k * step] / sum);
    else
      y[k * step] = x[k * step] - peak - log_sum;
  }
}

template <Kind kind>
std::vector<Tensor> eval_softmax(const Call& call) {
  const Tensor& x = call.in(0);
  const AxisView view = softmax_view(call);
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  if (out.size() == 0) return {out};
  with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    for (int64_t o = 0; o < view.outer; ++o) {
      for (int64_t i = 0; i < view.inner; ++i) {
        const int64_t at = o * view.length * view.inner + i;
        normalize<kind>(in + at, y + at, view.length, view.inner);
      }
    }
  });
  return {out};
}

}  // namespace

extern const OpDef kSoftmax{
    .type = "Softmax",
    .eval = half_as_float<eval_softmax<Kind::kSoftmax>>,
    .quant = {
        .reason = "exponentials of float scores; its result is in codes where a MatMul reads it",
        .lowest = 0,
        .highest = 1}};
extern const OpDef kLogSoftmax{.type = "LogSoftmax",
                               .eval = half_as_float<eval_softmax<Kind::kLog>>,
                               .quant = {.reason = "logarithms span too wide a range for 8 bits"}};
extern const OpDef kHardmax{.type = "Hardmax", .eval = half_as_float<eval_softmax<Kind::kHard>>};

}  // namespace qtool
