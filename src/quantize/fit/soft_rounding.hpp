// Learned rounding (AdaRound, arXiv 2004.10568) along gradients: each weight's share h in [0, 1] of the way between
// two neighbouring codes, which a growing regulariser drives to 0 or 1.
#pragma once

#include "quantize/fit/adam.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {

class SoftRounding {
 public:
  // Begins near the layer's codes; the other neighbour lies where the loss falls, against `slope`, its gradient by the
  // real weights. `start` must outlive it.
  SoftRounding(const LayerResult& start, int64_t channel_axis, std::span<const double> slope);
  // One step against `gradient`, by the real weights. `power`: of the regulariser 1 − |2h − 1|^power; 0: none.
  void step(std::span<const double> gradient, double rate, double power);
  // From here on the nearer neighbours.
  void harden();
  // The real weights for the shares as they are.
  Tensor weights() const;
  // The nearer neighbours, int8.
  Tensor codes() const;

 private:
  float share(size_t i) const;

  const WeightCodes& start_;
  std::vector<float> scale_;  // by element
  std::vector<float> base_;   // the lower neighbour
  std::vector<float> v_;      // what h is the sigmoid of
  Adam adam_;
  double usual_ = 0;  // mean |gradient by h|, in which the regulariser is told
  int64_t seen_ = 0;
  bool hard_ = false;
};

}  // namespace qtool::qdq
