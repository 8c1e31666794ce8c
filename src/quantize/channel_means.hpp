// Means of a layer's output per channel (axis 1; the last axis of dense layers).
#pragma once

#include <vector>

#include "qtool/tensor.hpp"

namespace qtool::qdq {

class ChannelMeans {
 public:
  void add(const Tensor& value, bool dense);
  void merge(const ChannelMeans& other);
  size_t channels() const { return sums_.size(); }
  double mean(size_t channel) const;

 private:
  std::vector<double> sums_;
  int64_t per_channel_ = 0;
};

// The value with `shift` of its channel added to every element.
Tensor shifted(Tensor value, const std::vector<float>& shift, bool dense);

}  // namespace qtool::qdq
