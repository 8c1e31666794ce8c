// Numbers that compare outputs, gathered chunk by chunk and added in order.
#pragma once

#include <span>
#include <vector>

#include "qtool/evaluate.hpp"

namespace qtool::metrics {

// Two outputs, `want` being the reference.
struct Difference {
  double signal = 0, noise = 0;          // Σ want², Σ (have − want)²
  double product = 0, have_squares = 0;  // Σ have · want, Σ have²
  double max_error = 0;
  int64_t resized = 0;  // samples

  void add(const Difference& other);
  double sqnr_db() const;  // +inf when equal; −inf without signal or with NaN
  double cosine() const;   // 1 when both are zero
};
// Any numeric types; shapes are equal.
Difference difference(const Tensor& have, const Tensor& want);
// Σ (have − want)² of each sample; of all where the first axis is not the samples'.
std::vector<double> noise_by_sample(const Tensor& have, const Tensor& want, int64_t samples);
// Of outputs of other dimensions than the reference's, for so many samples.
Difference nothing_in_common(const Tensor& want, int64_t samples);
bool is_numeric(DType type);

// Scores of a classifier: [samples][classes].
struct Scores {
  int64_t samples = 0, classes = 0;
  std::vector<double> values;
  std::span<const double> row(int64_t sample) const {
    return std::span(values).subspan(static_cast<size_t>(sample * classes),
                                     static_cast<size_t>(classes));
  }
};
// The output as scores; no classes when it is not [samples, classes ≥ 2] but for dimensions of 1.
Scores scores_of(const Tensor& output, int64_t samples);

// The highest score, of equal ones the first; −1 when every score is NaN.
int64_t arg_max(std::span<const double> row);
// How many classes come before `label`; a NaN comes before nothing.
int64_t rank_of(std::span<const double> row, int64_t label);

}  // namespace qtool::metrics
