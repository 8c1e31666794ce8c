#include "quantize/linear_algebra.hpp"

#define EIGEN_DONT_PARALLELIZE  // how a sum is cut must not depend on the number of threads
#include <Eigen/Cholesky>
#include <Eigen/Core>

#include "qtool/base.hpp"

namespace qtool::qdq {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using View = Eigen::Map<Matrix>;
using ConstView = Eigen::Map<const Matrix>;

}  // namespace

std::vector<float> cholesky(std::span<const float> a, int64_t n, float ridge) {
  std::vector<float> factor(a.begin(), a.end());
  View view(factor.data(), n, n);
  view.diagonal().array() += ridge;
  Eigen::LLT<Eigen::Ref<Matrix>, Eigen::Lower> llt(view);
  if (llt.info() != Eigen::Success)
    throw_internal(cat("a Gram matrix of ", n, " columns is not positive definite"));
  return factor;
}

std::vector<float> multiply_rows(std::span<const float> rows, std::span<const float> m, int64_t n) {
  const auto count = static_cast<int64_t>(rows.size()) / n;
  std::vector<float> product(rows.size());
  View(product.data(), count, n).noalias() =
      ConstView(rows.data(), count, n) * ConstView(m.data(), n, n);
  return product;
}

void solve_rows(std::span<float> rows, std::span<const float> factor, int64_t n) {
  const auto count = static_cast<int64_t>(rows.size()) / n;
  View x(rows.data(), count, n);
  const ConstView l(factor.data(), n, n);
  // X (L Lᵀ)⁻¹: first X L⁻ᵀ, then that times L⁻¹.
  l.triangularView<Eigen::Lower>().transpose().solveInPlace<Eigen::OnTheRight>(x);
  l.triangularView<Eigen::Lower>().solveInPlace<Eigen::OnTheRight>(x);
}

}  // namespace qtool::qdq
