#include "quantize/fit/linear_algebra.hpp"

#define EIGEN_DONT_PARALLELIZE  // how a sum is cut must not depend on the number of threads
#include <Eigen/Cholesky>
#include <Eigen/Core>

#include "qtool/exec.hpp"

namespace qtool::qdq {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using View = Eigen::Map<Matrix>;
using ConstView = Eigen::Map<const Matrix>;

// A block of a larger row-major matrix.
using Block = Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;

// Up to here the whole matrix stays near the processor.
constexpr int64_t kSmall = 1024;
constexpr int64_t kColumns = 128;  // factored at once in larger ones
constexpr int64_t kRows = 256;     // that one task updates

bool factor_in_place(Block block) {
  Eigen::LLT<Eigen::Ref<Matrix, 0, Eigen::OuterStride<>>, Eigen::Lower> llt(block);
  return llt.info() == Eigen::Success;
}

// The lower triangle from (end, end) on loses the products of the columns [begin, end) before it.
void update(float* factor, int64_t n, int64_t begin, int64_t end, int threads) {
  const int64_t rest = n - end, width = end - begin;
  std::vector<float> columns(static_cast<size_t>(width * rest)), negative(columns.size());
  for (int64_t r = 0; r < rest; ++r) {
    for (int64_t c = 0; c < width; ++c) {
      const float l = factor[(end + r) * n + begin + c];
      columns[static_cast<size_t>(c * rest + r)] = l;
      negative[static_cast<size_t>(c * rest + r)] = -l;
    }
  }
  parallel_for(threads, (rest + kRows - 1) / kRows, [&](int64_t task, int) {
    const int64_t first = task * kRows, height = std::min(kRows, rest - first);
    add_product(negative.data() + first, rest, columns.data(), rest,
                factor + (end + first) * n + end, n, height, first + height, width);
  });
}

bool factor_by_blocks(float* factor, int64_t n, int threads) {
  for (int64_t begin = 0; begin < n; begin += kColumns) {
    const int64_t end = std::min(n, begin + kColumns), width = end - begin;
    const Block corner(factor + begin * n + begin, width, width, Eigen::OuterStride<>(n));
    if (!factor_in_place(corner)) return false;
    parallel_for(threads, (n - end + kRows - 1) / kRows, [&](int64_t task, int) {
      const int64_t first = end + task * kRows;
      Block below(factor + first * n + begin, std::min(kRows, n - first), width,
                  Eigen::OuterStride<>(n));
      corner.triangularView<Eigen::Lower>().transpose().solveInPlace<Eigen::OnTheRight>(below);
    });
    if (end < n) update(factor, n, begin, end, threads);
  }
  return true;
}

}  // namespace

std::vector<float> cholesky(std::span<const float> a, int64_t n, float ridge, int threads) {
  std::vector<float> factor(a.begin(), a.end());
  for (int64_t i = 0; i < n; ++i) factor[static_cast<size_t>(i * n + i)] += ridge;
  const bool positive = n <= kSmall
                            ? factor_in_place(Block(factor.data(), n, n, Eigen::OuterStride<>(n)))
                            : factor_by_blocks(factor.data(), n, threads);
  if (!positive) throw_internal(cat("a Gram matrix of ", n, " columns is not positive definite"));
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
