// Means of a layer's output per channel.
#pragma once

#include <vector>

#include "qtool/exec.hpp"

namespace qtool::qdq {

class ChannelMeans {
 public:
  // Channels on axis 1; their values add up in one order, whatever the blocks.
  void add(const ChannelBlocks& value);
  // Channels on the last axis.
  void add_rows(const Tensor& value);
  void merge(const ChannelMeans& other);
  size_t channels() const { return sums_.size(); }
  double mean(size_t channel) const;

 private:
  std::vector<double> sums_;
  int64_t per_channel_ = 0;
};

// What the mean of a layer's output, and of what is added to it right behind, lacks in one network (`have`) of the
// other's (`want`).
struct MissingMeans {
  ChannelMeans want, have, residual_want = {},
                           residual_have = {};  // residuals empty: nothing is added

  void merge(const MissingMeans& other);
  std::vector<float> shift() const;
};

}  // namespace qtool::qdq
