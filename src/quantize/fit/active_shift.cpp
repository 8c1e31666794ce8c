#include "quantize/fit/active_shift.hpp"

#include <algorithm>

#include "base/clones.hpp"

namespace qtool::qdq {
namespace {

// Sums have a lane for each position modulo kLanes: wider vectors and other blocks give the same bits.
constexpr int64_t kLanes = 4;

template <int64_t kColumns>
struct Lanes {
  double all[kLanes][kColumns] = {}, active[kLanes][kColumns] = {}, inside[kLanes][kColumns] = {};

  // One row of kColumns in `lane`.
  inline __attribute__((always_inline)) void add(int64_t lane, const float* want, const float* have,
                                                 float low, float high) {
    // Loops of one type each, and differences taken whether they count or not: only those become vectors.
    float missing[kColumns], behind[kColumns], in[kColumns];
    for (int64_t c = 0; c < kColumns; ++c) {
      const float above = want[c] > low ? want[c] : low, clamped = above < high ? above : high;
      const float difference = clamped - have[c];
      missing[c] = want[c] - have[c];
      const float above_low = have[c] > low ? 1.0F : 0.0F;
      in[c] = have[c] < high ? above_low : 0.0F;
      behind[c] = in[c] > 0.0F ? difference : 0.0F;
    }
    for (int64_t c = 0; c < kColumns; ++c) all[lane][c] += static_cast<double>(missing[c]);
    for (int64_t c = 0; c < kColumns; ++c) active[lane][c] += static_cast<double>(behind[c]);
    for (int64_t c = 0; c < kColumns; ++c) inside[lane][c] += static_cast<double>(in[c]);
  }

  void move_to(ActiveShift::Sums* sums) const {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      for (int64_t c = 0; c < kColumns; ++c) {
        sums[c].all += all[lane][c];
        sums[c].active += active[lane][c];
        sums[c].inside += static_cast<int64_t>(inside[lane][c]);
      }
    }
  }
};

// Of neighbouring columns of want and have [count][stride].
template <int64_t kColumns>
inline __attribute__((always_inline)) void add_columns(const float* want, const float* have,
                                                       int64_t count, int64_t stride, float low,
                                                       float high, ActiveShift::Sums* sums) {
  Lanes<kColumns> lanes;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      lanes.add(lane, want + (i + lane) * stride, have + (i + lane) * stride, low, high);
  for (; i < count; ++i) lanes.add(i % kLanes, want + i * stride, have + i * stride, low, high);
  lanes.move_to(sums);
}

QTOOL_CLONES void add_one(const float* want, const float* have, int64_t count, int64_t stride,
                          float low, float high, ActiveShift::Sums* sums) {
  add_columns<1>(want, have, count, stride, low, high, sums);
}
QTOOL_CLONES void add_eight(const float* want, const float* have, int64_t count, int64_t stride,
                            float low, float high, ActiveShift::Sums* sums) {
  add_columns<8>(want, have, count, stride, low, high, sums);
}

}  // namespace

void ActiveShift::add(const ChannelBlocks& want, const ChannelBlocks& have, bool rows) {
  const int64_t size = element_count(want.shape);
  const int64_t channels = rows ? want.shape.back() : want.shape[1],
                samples = rows ? 1 : want.shape[0], block = rows ? channels : want.block;
  if (size == 0) return;
  const int64_t positions = size / channels / samples;
  channels_.resize(static_cast<size_t>(channels));
  const float *w = want.data, *h = have.data;
  for (int64_t n = 0; n < samples; ++n) {
    for (int64_t first = 0; first < channels; first += block) {
      Sums* sums = channels_.data() + first;
      int64_t c = 0;
      for (; c + 8 <= block; c += 8)
        add_eight(w + c, h + c, positions, block, low_, high_, sums + c);
      for (; c < block; ++c) add_one(w + c, h + c, positions, block, low_, high_, sums + c);
      w += positions * block;
      h += positions * block;
    }
    per_channel_ += positions;
  }
}

void ActiveShift::merge(const ActiveShift& other) {
  channels_.resize(std::max(channels_.size(), other.channels_.size()));
  for (size_t c = 0; c < other.channels_.size(); ++c) {
    channels_[c].all += other.channels_[c].all;
    channels_[c].active += other.channels_[c].active;
    channels_[c].inside += other.channels_[c].inside;
  }
  per_channel_ += other.per_channel_;
}

std::vector<float> ActiveShift::shift() const {
  std::vector<float> shift;
  for (const Sums& sums : channels_) {
    const double mean = sums.inside > 0 ? sums.active / static_cast<double>(sums.inside)
                                        : sums.all / static_cast<double>(per_channel_);
    shift.push_back(static_cast<float>(mean));
  }
  return shift;
}

}  // namespace qtool::qdq
