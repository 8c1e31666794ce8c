#include <algorithm>
#include <cmath>

#include "quantize/optimizers/gram_rows.hpp"

namespace qtool::qdq {
namespace {

// A row's state: `image` = ŵ H, kept up to date as ŵ changes.
class Descent {
 public:
  Descent(const RowProblem& problem, RowCodes& row)
      : p_(problem), row_(row), n_(problem.target.size()), wanted_(n_, 0.f), image_(n_, 0.f) {
    for (size_t j = 0; j < n_; ++j) {
      add(wanted_, p_.target[j], j);
      add(image_, static_cast<float>(row_.codes[j]) * scale(j), j);
    }
  }

  bool codes() {
    bool changed = false;
    for (size_t j = 0; j < n_; ++j) {
      const float h = p_.gram[j * n_ + j] + p_.ridge;
      if (!(h > 0)) continue;
      const auto [lowest, highest] = p_.grid.range(j, row_.codes);
      const float code = row_.codes[j];
      const float best =
          std::clamp(std::nearbyint(code - (image_[j] - wanted_[j]) / (scale(j) * h)),
                     static_cast<float>(lowest), static_cast<float>(highest));
      if (best == code) continue;
      add(image_, (best - code) * scale(j), j);
      row_.codes[j] = static_cast<int8_t>(best);
      changed = true;
    }
    return changed;
  }

  // The best scale of each block for its codes and the other blocks.
  void scales() {
    const auto block = static_cast<size_t>(p_.grid.block);
    for (size_t b = 0; b < row_.scales.size(); ++b) {
      const size_t begin = b * block, end = std::min(n_, begin + block);
      double gain = 0, curve = 0;
      for (size_t j = begin; j < end; ++j) gain += row_.codes[j] * (wanted_[j] - image_[j]);
      if (row_.scales.size() == 1) {
        for (size_t j = 0; j < n_; ++j) curve += row_.codes[j] * (image_[j] / row_.scales[0]);
      } else {
        curve = curvature(begin, end);
      }
      if (!(curve > 0)) continue;
      const float better = row_.scales[b] + static_cast<float>(gain / curve);
      // A scale that turns negative or vanishes belongs to codes that fit nothing.
      if (!(better > 0.1f * row_.scales[b]) || !std::isnormal(better)) continue;
      const float change = better - row_.scales[b];
      row_.scales[b] = better;
      for (size_t j = begin; j < end; ++j) {
        if (row_.codes[j]) add(image_, change * static_cast<float>(row_.codes[j]), j);
      }
    }
  }

 private:
  float scale(size_t j) const { return row_.scales[j / static_cast<size_t>(p_.grid.block)]; }

  // vector += amount · row j of H.
  void add(std::vector<float>& vector, float amount, size_t j) const {
    if (amount == 0) return;
    const float* h = p_.gram.data() + j * n_;
    for (size_t i = 0; i < n_; ++i) vector[i] += amount * h[i];
    vector[j] += amount * p_.ridge;
  }

  double curvature(size_t begin, size_t end) const {
    double sum = 0;
    for (size_t j = begin; j < end; ++j) {
      if (!row_.codes[j]) continue;
      double inner = static_cast<double>(row_.codes[j]) * p_.ridge;
      for (size_t i = begin; i < end; ++i) inner += row_.codes[i] * p_.gram[j * n_ + i];
      sum += row_.codes[j] * inner;
    }
    return sum;
  }

  const RowProblem& p_;
  RowCodes& row_;
  size_t n_;
  std::vector<float> wanted_, image_;
};

}  // namespace

void coordinate_descent(const RowProblem& problem, int passes, RowCodes& row) {
  Descent descent(problem, row);
  for (int pass = 0; pass < passes; ++pass) {
    const bool changed = descent.codes();
    descent.scales();
    if (!changed) return;
  }
}

}  // namespace qtool::qdq
