// What codes make of a weight, less the weight: read in runs, so that the changes of all widths are never there at once.
#pragma once

#include <vector>

#include "qtool/quantize.hpp"

namespace qtool::fisher {

class WeightChange {
 public:
  WeightChange() = default;  // none
  explicit WeightChange(Tensor whole) : whole_(std::move(whole)) {}
  // `codes` and `weight` outlive it.
  WeightChange(const WeightCodes& codes, const Tensor& weight, int64_t channel_axis);

  bool defined() const { return whole_.defined() || codes_; }
  // Elements [begin, begin + n) as they lie in the weight; `buffer` holds n.
  const float* read(int64_t begin, int64_t n, float* buffer) const;

 private:
  Tensor whole_;
  const WeightCodes* codes_ = nullptr;  // one scale a channel, int8
  const float* weight_ = nullptr;
  int64_t channels_ = 1, inner_ = 1;
};

}  // namespace qtool::fisher
