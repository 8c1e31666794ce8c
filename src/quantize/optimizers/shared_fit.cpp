#include <Eigen/Dense>

#include "quantize/optimizers/gram_rows.hpp"

namespace qtool::qdq {

void SharedFit::add(const SharedFit& other) {
  for (size_t i = 0; i < matrix.size(); ++i) matrix[i] += other.matrix[i];
  for (size_t i = 0; i < right.size(); ++i) right[i] += other.right[i];
}

std::vector<float> SharedFit::solve(std::span<const float> start) const {
  const auto n = static_cast<Eigen::Index>(right.size());
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix a = Eigen::Map<const Matrix>(matrix.data(), n, n);
  Eigen::VectorXd b = Eigen::Map<const Eigen::VectorXd>(right.data(), n);
  // What no weight uses stays: its row of the equations is empty.
  const double least = 1e-6 * std::max(a.diagonal().maxCoeff(), 1e-30);
  for (Eigen::Index i = 0; i < n; ++i) {
    a(i, i) += least;
    b(i) += least * start[static_cast<size_t>(i)];
  }
  const Eigen::VectorXd x = a.ldlt().solve(b);
  std::vector<float> result;
  for (Eigen::Index i = 0; i < n; ++i) {
    const auto value = static_cast<float>(x(i));
    result.push_back(std::isfinite(value) ? value : start[static_cast<size_t>(i)]);
  }
  return result;
}

void add_row(const RowsProblem& problem, size_t row, std::span<const float> values,
             std::span<const uint16_t> classes, SharedFit& fit) {
  const size_t n = problem.columns(), count = fit.right.size();
  const std::span<const float> target = problem.target(row);
  std::vector<double> sums(count);
  for (size_t i = 0; i < n; ++i) {
    if (values[i] == 0) continue;
    const float* h = problem.gram.data() + i * n;
    std::fill(sums.begin(), sums.end(), 0.0);
    double wanted = static_cast<double>(problem.ridge) * target[i];
    for (size_t j = 0; j < n; ++j) {
      sums[classes[j]] += static_cast<double>(values[j]) * h[j];
      wanted += static_cast<double>(target[j]) * h[j];
    }
    sums[classes[i]] += static_cast<double>(values[i]) * problem.ridge;
    double* to = fit.matrix.data() + size_t{classes[i]} * count;
    for (size_t c = 0; c < count; ++c) to[c] += values[i] * sums[c];
    fit.right[classes[i]] += values[i] * wanted;
  }
}

}  // namespace qtool::qdq
