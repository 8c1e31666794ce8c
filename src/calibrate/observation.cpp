#include "calibrate/observation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "calibrate/sweep.hpp"

namespace qtool {
namespace {

// A value with more channels than this keeps no statistics per channel: memory stays bounded.
constexpr int64_t kMaxChannels = 1 << 16;

// A value as [samples][slabs][channels / block][positions][block], contiguous.
struct View {
  const float* data = nullptr;
  int64_t samples = 1, slabs = 1, channels = 1, positions = 1, block = 1;
  bool per_channel = false;
  int64_t slab_size() const { return channels * positions; }
};

View view_of(const ChannelBlocks& value, int64_t samples) {
  View v;
  v.data = value.data;
  const Shape& shape = value.shape;
  if (!shape.empty() && samples >= 1 && shape[0] % samples == 0) v.samples = samples;
  v.per_channel = shape.size() >= 2 && shape[1] <= kMaxChannels;
  if (v.per_channel) {
    v.slabs = shape[0] / v.samples;
    v.channels = shape[1];
    v.block = value.block;
  }
  v.positions = element_count(shape) / (v.samples * v.slabs * v.channels);
  return v;
}

// Which positions moments and histograms look at. All of a value's first million elements; beyond, an eighth of
// large values tells as much: one of every eight groups of eight positions, for all eight, another one from sample
// to sample and from place to place, so that no column of a picture is always left out. It depends on the sample's
// number alone, not on chunks, threads or layouts.
std::vector<sweep::Piece> pieces_of(int64_t sample, const View& v) {
  constexpr int64_t kWhole = 1 << 20, kLarge = 1 << 12, kGroup = 8, kEight = 8 * kGroup;
  const int64_t elements = v.slabs * v.slab_size();
  if (elements < kLarge || sample < (kWhole + elements - 1) / elements || v.positions < kEight)
    return {{0, v.positions, 1}};
  std::vector<sweep::Piece> pieces;
  int64_t at = 0;
  for (int64_t eight = sample; at + kEight <= v.positions; at += kEight, ++eight)
    pieces.push_back({at + ((eight ^ (eight >> 3) ^ (eight >> 6)) & 7) * kGroup, kGroup, 8});
  if (at < v.positions) pieces.push_back({at, v.positions - at, 1});
  return pieces;
}

// Extremes of the channels of one slab; reused from slab to slab.
struct Slab {
  std::vector<float> channel_min, channel_max;
  float min = 0, max = 0;
  bool finite = true;

  void read(const float* x, const View& v) {
    channel_min.resize(static_cast<size_t>(v.channels));
    channel_max.resize(channel_min.size());
    bool nan = false;
    for (int64_t c = 0; c < v.channels; c += v.block, x += v.positions * v.block) {
      float &low = channel_min[static_cast<size_t>(c)], &high = channel_max[static_cast<size_t>(c)];
      if (v.block > 1) {
        nan |= sweep::extremes(x, v.positions, v.block, &low, &high);
      } else if (v.positions == 1) {
        low = high = *x;
        nan |= *x != *x;
      } else {
        const sweep::Extremes e = sweep::extremes(x, v.positions);
        low = e.min, high = e.max;
        nan |= e.nan;
      }
    }
    min = *std::min_element(channel_min.begin(), channel_min.end());
    max = *std::max_element(channel_max.begin(), channel_max.end());
    finite = !nan && std::isfinite(min) && std::isfinite(max);
  }
};

// Values of one weight on their way into the histogram, which likes many at once.
class PendingBins {
 public:
  PendingBins(Histogram& histogram, int64_t weight) : histogram_(histogram), weight_(weight) {}
  ~PendingBins() { flush(); }
  void add(const float* x, int64_t count) { values_.insert(values_.end(), x, x + count); }
  // Bounds of what was added since the last time.
  void within(float min, float max) {
    min_ = std::min(min_, min);
    max_ = std::max(max_, max);
    if (values_.size() >= kEnough) flush();
  }

 private:
  void flush() {
    histogram_.add(values_, min_, max_, weight_);
    values_.clear();
    min_ = max_ = 0;
  }

  static constexpr size_t kEnough = 1 << 15;
  Histogram& histogram_;
  int64_t weight_;
  std::vector<float> values_;
  float min_ = 0, max_ = 0;
};

// No range can hold an infinite value, so it counts as zero, which every range holds.
std::vector<float> without_infinities(const float* x, int64_t count, int64_t& infinite) {
  std::vector<float> clean(x, x + count);
  for (float& v : clean) {
    if (std::isnan(v)) throw_data("QT-E460", "a value is not a number (NaN)");
    if (!std::isinf(v)) continue;
    v = 0;
    ++infinite;
  }
  return clean;
}

// Channel vectors that differ in length (an axis of free size) say nothing per channel: both go.
bool keep_channels(ValueStats& stats, bool per_channel, size_t channels) {
  const bool first = stats.count == 0;
  if (first && per_channel) {
    stats.channel_min.assign(channels, std::numeric_limits<double>::infinity());
    stats.channel_max.assign(channels, -std::numeric_limits<double>::infinity());
  }
  if (per_channel && stats.channel_min.size() == channels) return true;
  stats.channel_min.clear();
  stats.channel_max.clear();
  return false;
}

void absorb(ValueStats& stats, const Slab& slab, bool per_channel) {
  stats.min = stats.count == 0 ? slab.min : std::min<double>(stats.min, slab.min);
  stats.max = stats.count == 0 ? slab.max : std::max<double>(stats.max, slab.max);
  if (!per_channel) return;
  for (size_t c = 0; c < slab.channel_min.size(); ++c) {
    stats.channel_min[c] = std::min<double>(stats.channel_min[c], slab.channel_min[c]);
    stats.channel_max[c] = std::max<double>(stats.channel_max[c], slab.channel_max[c]);
  }
}

// One value of one chunk.
class Observation {
 public:
  Observation(ValueStats& stats, const View& view, bool per_channel, SampleSums& result)
      : stats_(stats),
        view_(view),
        per_channel_(per_channel),
        result_(result),
        whole_(stats.histogram, 1),
        eighth_(stats.histogram, 8) {}

  void add_sample(int64_t number, int64_t s) {
    const std::vector<sweep::Piece> pieces = pieces_of(number, view_);
    double* sums = result_.sums.data() + s * view_.channels;
    double* squares = result_.squares.data() + s * view_.channels;
    for (int64_t k = 0; k < view_.slabs; ++k) {
      const float* x = view_.data + (s * view_.slabs + k) * view_.slab_size();
      std::vector<float> clean;
      slab_.read(x, view_);
      if (!slab_.finite) {
        clean = without_infinities(x, view_.slab_size(), stats_.infinite);
        x = clean.data();
        slab_.read(x, view_);
      }
      add_moments(x, pieces, sums, squares);
      absorb(stats_, slab_, per_channel_);
      stats_.count += view_.slab_size();
    }
  }

 private:
  void add_moments(const float* x, std::span<const sweep::Piece> pieces, double* sums,
                   double* squares) {
    const int64_t block = view_.block;
    for (int64_t c = 0; c < view_.channels; c += block, x += view_.positions * block) {
      sweep::add_moments(x, pieces, block, sums + c, squares + c);
      for (const sweep::Piece& piece : pieces)
        (piece.weight == 1 ? whole_ : eighth_).add(x + piece.begin * block, piece.count * block);
    }
    whole_.within(slab_.min, slab_.max);
    eighth_.within(slab_.min, slab_.max);
  }

  ValueStats& stats_;
  const View& view_;
  bool per_channel_;
  SampleSums& result_;
  Slab slab_;
  PendingBins whole_, eighth_;
};

}  // namespace

SampleSums observe_extremes(ValueStats& stats, const ChannelBlocks& value, int64_t samples,
                            int64_t first_sample) {
  SampleSums result;
  stats.samples += samples;
  if (element_count(value.shape) == 0) return result;
  const View v = view_of(value, samples);
  const bool per_channel = keep_channels(stats, v.per_channel, static_cast<size_t>(v.channels));
  result.shape = value.shape;
  result.channels = static_cast<size_t>(v.channels);
  result.per_channel = v.per_channel;
  result.sums.resize(static_cast<size_t>(v.samples * v.channels));
  result.squares.resize(result.sums.size());
  Observation observation(stats, v, per_channel, result);
  for (int64_t s = 0; s < v.samples; ++s) observation.add_sample(first_sample + s, s);
  return result;
}

SampleSums observe_extremes(ValueStats& stats, const Tensor& value, int64_t samples,
                            int64_t first_sample) {
  if (value.dtype() != DType::kFloat) return {};
  return observe_extremes(stats, ChannelBlocks{value.data<float>().data(), value.shape(), 1},
                          samples, first_sample);
}

}  // namespace qtool
