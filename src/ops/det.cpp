// Det: determinants of square matrices by elimination with row exchange, in double.
#include <cmath>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

double determinant(std::vector<double> m, size_t n) {
  double result = 1;
  for (size_t c = 0; c < n; ++c) {
    size_t pivot = c;
    for (size_t r = c + 1; r < n; ++r) {
      if (std::abs(m[r * n + c]) > std::abs(m[pivot * n + c])) pivot = r;
    }
    if (m[pivot * n + c] == 0) return 0;
    if (pivot != c) {
      for (size_t k = 0; k < n; ++k) std::swap(m[c * n + k], m[pivot * n + k]);
      result = -result;
    }
    result *= m[c * n + c];
    for (size_t r = c + 1; r < n; ++r) {
      const double factor = m[r * n + c] / m[c * n + c];
      for (size_t k = c; k < n; ++k) m[r * n + k] -= factor * m[c * n + k];
    }
  }
  return result;
}

std::vector<Tensor> eval_det(const Call& call) {
  const Tensor& x = call.in(0);
  require(x.rank() >= 2 && x.dim(-1) == x.dim(-2), call, shape_text(x.shape()),
          " is not square matrices");
  const auto n = static_cast<size_t>(x.dim(-1));
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor out = Tensor::uninitialized(x.dtype(), Shape(x.shape().begin(), x.shape().end() - 2));
    const T* in = x.data<T>().data();
    for (T& y : out.mutable_data<T>()) {
      y = static_cast<T>(determinant(std::vector<double>(in, in + n * n), n));
      in += n * n;
    }
    return out;
  })};
}

}  // namespace

extern const OpDef kDet{.type = "Det", .since = 11, .eval = half_as_float<eval_det>};

}  // namespace qtool
