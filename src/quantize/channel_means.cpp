#include "quantize/channel_means.hpp"

#include <algorithm>

namespace qtool::qdq {
namespace {

int64_t elements_per_channel(const Tensor& value, bool dense) {
  int64_t inner = 1;
  for (int64_t d = 2; !dense && d < value.rank(); ++d) inner *= value.dim(d);
  return inner;
}

// Lanes and their order are fixed, so wider vectors give the same bits.
__attribute__((target_clones("avx2", "default"))) double sum_of(const float* x, int64_t count) {
  constexpr int64_t kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += static_cast<double>(x[i + lane]);
  double sum = 0;
  for (; i < count; ++i) sum += x[i];
  for (double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

void ChannelMeans::add(const Tensor& value, bool dense) {
  const int64_t channels = dense ? value.dim(-1) : value.dim(1),
                inner = elements_per_channel(value, dense);
  sums_.resize(static_cast<size_t>(channels), 0.0);
  const float* x = value.data<float>().data();
  const int64_t outer = channels * inner > 0 ? value.size() / (channels * inner) : 0;
  for (int64_t o = 0; o < outer; ++o) {
    for (double& sum : sums_) {
      sum += inner == 1 ? *x : sum_of(x, inner);
      x += inner;
    }
  }
  per_channel_ += outer * inner;
}

void ChannelMeans::merge(const ChannelMeans& other) {
  sums_.resize(std::max(sums_.size(), other.sums_.size()), 0.0);
  for (size_t i = 0; i < other.sums_.size(); ++i) sums_[i] += other.sums_[i];
  per_channel_ += other.per_channel_;
}

double ChannelMeans::mean(size_t channel) const {
  return sums_[channel] / static_cast<double>(std::max<int64_t>(per_channel_, 1));
}

Tensor shifted(Tensor value, const std::vector<float>& shift, bool dense) {
  const int64_t inner = elements_per_channel(value, dense),
                channels = static_cast<int64_t>(shift.size());
  float* x = value.mutable_data<float>().data();
  const int64_t outer = channels * inner > 0 ? value.size() / (channels * inner) : 0;
  for (int64_t o = 0; o < outer; ++o) {
    for (const float s : shift) {
      for (int64_t i = 0; i < inner; ++i) *x++ += s;
    }
  }
  return value;
}

}  // namespace qtool::qdq
