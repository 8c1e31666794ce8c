// Sums over channels: of a layer's output, and of products of its weight.
#pragma once

#include <span>
#include <vector>

#include "score/weight_change.hpp"

namespace qtool::fisher {

// A tensor as [samples][blocks][channels][positions].
struct ChannelView {
  int64_t samples = 1, blocks = 1, channels = 1, positions = 1;
  ChannelView(const Tensor& t, int64_t samples_in_batch, bool channels_last);
  // [sample][channel]: Σ a over its elements.
  std::vector<double> sum(const float* a) const;
};

// A weight as [parts][outer][channels][inner].
struct WeightView {
  int64_t parts = 1, outer = 1, channels = 1, inner = 1;
};
// [change][other][part][channel]: Σ change · other, empty for changes that are none. Short runs are summed in float32.
// Every run of `others` is read once.
std::vector<std::vector<double>> products(const WeightView& view,
                                          std::span<const WeightChange> changes,
                                          std::span<const float* const> others);

double sum_of_squares(const Tensor& t);
// to += weight · more; `to` grows with zeros.
void add_to(std::vector<double>& to, const std::vector<double>& more, double weight);

}  // namespace qtool::fisher
