// Adam (arXiv 1412.6980) over a list of numbers.
#pragma once

#include <cmath>
#include <span>
#include <vector>

namespace qtool::qdq {

class Adam {
 public:
  explicit Adam(size_t count) : first_(count, 0.0), second_(count, 0.0) {}

  // Moves value[i] by about rate · unit_of(i) against gradient_of(i), its gradient in that unit.
  template <typename GradientOf, typename UnitOf>
  void step(std::span<float> values, double rate, GradientOf gradient_of, UnitOf unit_of) {
    ++taken_;
    const double bias1 = 1 - std::pow(kFirstMoment, taken_),
                 bias2 = 1 - std::pow(kSecondMoment, taken_);
    for (size_t i = 0; i < values.size(); ++i) {
      const double g = gradient_of(i);
      first_[i] = kFirstMoment * first_[i] + (1 - kFirstMoment) * g;
      second_[i] = kSecondMoment * second_[i] + (1 - kSecondMoment) * g * g;
      values[i] -= static_cast<float>(rate * unit_of(i) * (first_[i] / bias1) /
                                      (std::sqrt(second_[i] / bias2) + 1e-12));
    }
  }

 private:
  static constexpr double kFirstMoment = 0.9, kSecondMoment = 0.99;
  std::vector<double> first_, second_;
  int64_t taken_ = 0;
};

}  // namespace qtool::qdq
