// What a classifier is expected to lose of its accuracy, from few samples without labels.
#pragma once

#include <span>
#include <vector>

#include "qtool/data.hpp"
#include "qtool/exec.hpp"

namespace qtool::metrics {

// Few samples show few answers that differ, or none, whatever the noise. So every sample's noise is laid on
// every sample's scores, rank by rank (the noise of the highest score on the highest, and so on): a residual
// bootstrap (Efron 1979) over all pairs. Where the answer changes by it, the reference loses its probability of
// its own answer less that of the new one.
class DropEstimate {
 public:
  // What a model makes of a sample and what the reference does: logits, or probabilities that sum to one.
  void add_noise(std::span<const double> want, std::span<const double> have);
  // Scores of the reference. Several rows may belong to one sample.
  void add_scores(std::span<const double> scores, int64_t sample);
  // What comes after one's own.
  void add(const DropEstimate& other);

  struct Result {
    double drop = 0;   // of the share of right answers, mean over all pairs, in [0, 1]
    double error = 0;  // its standard error over samples, of scores and of noise
  };
  Result result() const;

 private:
  struct Row {
    int64_t sample;
    std::vector<double> scores, probabilities;
  };
  std::vector<Row> rows_;                   // highest score first
  std::vector<std::vector<double>> noise_;  // by rank of the reference's scores
};

// Reference scores for DropEstimate. Samples that a network was trained on, as calibration data often is, are far
// from where its answers change; new ones are not. Samples with a small part of another mixed in are about as far as
// new ones (the vicinity of Chapelle et al. 2000, in the form of mixup, arXiv 1710.09412). Inputs that are no floats of
// one shape stay what they are.
DropEstimate vicinity(const Model& reference, const SampleSource& source, int threads);

}  // namespace qtool::metrics
