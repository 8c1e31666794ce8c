#include "quantize/fit/channel_means.hpp"

#include <algorithm>

#include "base/clones.hpp"

namespace qtool::qdq {
namespace {

// Lanes by position and their order are fixed, so wider vectors and other blocks give the same bits.
constexpr int64_t kLanes = 16, kColumns = 16;

QTOOL_CLONES double sum_of(const float* x, int64_t count) {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += static_cast<double>(x[i + lane]);
  double sum = 0;
  for (; i < count; ++i) sum += x[i];
  for (double lane : lanes) sum += lane;
  return sum;
}

// The same of kColumns columns of x [count][stride].
QTOOL_CLONES void add_column_sums(const float* x, int64_t count, int64_t stride, double* sums) {
  double lanes[kLanes][kColumns] = {}, rest[kColumns] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (auto& lane : lanes) {
      for (int64_t c = 0; c < kColumns; ++c) lane[c] += static_cast<double>(x[c]);
      x += stride;
    }
  for (; i < count; ++i, x += stride)
    for (int64_t c = 0; c < kColumns; ++c) rest[c] += static_cast<double>(x[c]);
  for (const auto& lane : lanes)
    for (int64_t c = 0; c < kColumns; ++c) rest[c] += lane[c];
  for (int64_t c = 0; c < kColumns; ++c) sums[c] += rest[c];
}

// Of x [count][stride], any number of columns.
void add_column_sums(const float* x, int64_t count, int64_t stride, int64_t columns, double* sums) {
  int64_t c = 0;
  for (; c + kColumns <= columns; c += kColumns) add_column_sums(x + c, count, stride, sums + c);
  std::vector<float> column(static_cast<size_t>(c < columns ? count : 0));
  for (; c < columns; ++c) {
    for (int64_t i = 0; i < count; ++i) column[static_cast<size_t>(i)] = x[i * stride + c];
    sums[c] += sum_of(column.data(), count);
  }
}

}  // namespace

void ChannelMeans::add(const ChannelBlocks& value) {
  const int64_t channels = value.shape[1];
  int64_t positions = 1;
  for (size_t d = 2; d < value.shape.size(); ++d) positions *= value.shape[d];
  sums_.resize(static_cast<size_t>(channels), 0.0);
  const float* x = value.data;
  for (int64_t left = element_count(value.shape); left > 0; left -= channels * positions) {
    for (int64_t c = 0; c < channels; c += value.block, x += positions * value.block) {
      double* sums = sums_.data() + c;
      if (value.block > 1)
        add_column_sums(x, positions, value.block, value.block, sums);
      else
        *sums += positions == 1 ? *x : sum_of(x, positions);
    }
    per_channel_ += positions;
  }
}

void ChannelMeans::add_rows(const Tensor& value) {
  sums_.resize(static_cast<size_t>(value.dim(-1)), 0.0);
  const float* x = value.data<float>().data();
  for (int64_t left = value.size(); left > 0; left -= value.dim(-1)) {
    for (double& sum : sums_) sum += *x++;
    ++per_channel_;
  }
}

void ChannelMeans::merge(const ChannelMeans& other) {
  sums_.resize(std::max(sums_.size(), other.sums_.size()), 0.0);
  for (size_t i = 0; i < other.sums_.size(); ++i) sums_[i] += other.sums_[i];
  per_channel_ += other.per_channel_;
}

double ChannelMeans::mean(size_t channel) const {
  return sums_[channel] / static_cast<double>(std::max<int64_t>(per_channel_, 1));
}

void MissingMeans::merge(const MissingMeans& other) {
  want.merge(other.want);
  have.merge(other.have);
  residual_want.merge(other.residual_want);
  residual_have.merge(other.residual_have);
}

std::vector<float> MissingMeans::shift() const {
  std::vector<float> shift;
  for (size_t c = 0; c < want.channels(); ++c) {
    double missing = want.mean(c) - have.mean(c);
    if (residual_want.channels() > c) missing += residual_want.mean(c) - residual_have.mean(c);
    shift.push_back(static_cast<float>(missing));
  }
  return shift;
}

}  // namespace qtool::qdq
