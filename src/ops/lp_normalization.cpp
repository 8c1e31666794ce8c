// LpNormalization: vectors along an axis divided by their L1 or L2 norm; a vector of zeros stays.
#include <algorithm>
#include <cmath>

#include "ops/dispatch.hpp"
#include "ops/float_runs.hpp"
#include "ops/lanes.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

// y = x / norm, and 0 where the norm is.
template <typename T>
QTOOL_INLINE T divided(T x, double norm) {
  return norm == 0 ? T(0) : static_cast<T>(x / norm);
}

QTOOL_CLONES void divide(const float* x, int64_t count, double norm, float* y) {
  // For floats the reciprocal is close enough: both products are rounded to single precision.
  const double factor = norm == 0 ? 0 : 1 / norm;
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(x[i] * factor);
}

// Columns side by side.
template <typename T>
QTOOL_INLINE void normalize_columns(const T* x, AxisView view, int64_t p, T* y) {
  constexpr int64_t kBlock = 64;
  for (int64_t begin = 0; begin < view.inner; begin += kBlock) {
    const int64_t n = std::min(kBlock, view.inner - begin);
    double norm[kBlock] = {};
    for (int64_t k = 0; k < view.length; ++k) {
      const T* row = x + k * view.inner + begin;
      for (int64_t i = 0; i < n; ++i) {
        const double v = row[i];
        norm[i] += p == 1 ? std::abs(v) : v * v;
      }
    }
    for (int64_t i = 0; p == 2 && i < n; ++i) norm[i] = std::sqrt(norm[i]);
    for (int64_t k = 0; k < view.length; ++k) {
      const int64_t at = k * view.inner + begin;
      for (int64_t i = 0; i < n; ++i) y[at + i] = divided(x[at + i], norm[i]);
    }
  }
}
QTOOL_CLONES void normalize(const float* x, AxisView view, int64_t p, float* y) {
  if (view.inner > 1) return normalize_columns(x, view, p, y);
  const double norm =
      p == 1 ? sum_of_magnitudes(x, view.length) : std::sqrt(sum_of_squares(x, view.length));
  divide(x, view.length, norm, y);
}
void normalize(const double* x, AxisView view, int64_t p, double* y) {
  normalize_columns(x, view, p, y);
}

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
    const int64_t step = view.length * view.inner;
    for (int64_t o = 0; o < view.outer; ++o) normalize(in + o * step, view, p, y + o * step);
    return out;
  })};
}

}  // namespace

extern const OpDef kLpNormalization{.type = "LpNormalization",
                                    .eval = half_as_float<eval_lp_normalization>};

}  // namespace qtool
