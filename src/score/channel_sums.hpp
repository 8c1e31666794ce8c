// Sums over samples and channels of a layer's output, and of its products with a gradient.
#pragma once

#include <vector>

#include "qtool/tensor.hpp"

namespace qtool::fisher {

// A tensor as [samples][blocks][channels][positions].
struct ChannelView {
  int64_t samples = 1, blocks = 1, channels = 1, positions = 1;
  ChannelView(const Tensor& t, int64_t samples_in_batch, bool channels_last);
  // [sample][channel]: Σ a, or Σ a · b, over its elements.
  std::vector<double> sum(const float* a) const;
  std::vector<double> sum(const float* a, const float* b) const;
};

double sum_of_squares(const Tensor& t);

}  // namespace qtool::fisher
