#include <algorithm>
#include <cmath>
#include <limits>

#include "calibrate/observation.hpp"
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

// Adds up to one row of so many columns.
void keep_columns(SampleSums& s, size_t columns) {
  for (std::vector<double>* values : {&s.sums, &s.squares}) {
    std::vector<double> row(columns, 0);
    for (size_t i = 0; i < values->size(); ++i) row[i % columns] += (*values)[i];
    *values = std::move(row);
  }
  s.channels = columns;
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

void add_call(SampleSums& sums, SampleSums call) {
  if (call.channels == 0) return;
  if (sums.channels == 0) {
    sums = std::move(call);
    return;
  }
  sums.shape = std::move(call.shape);
  // Of another size than before: one row, and where channels differ, too, one column.
  if (call.channels != sums.channels) {
    for (SampleSums* s : {&sums, &call}) keep_columns(*s, 1);
    sums.per_channel = false;
  } else if (call.sums.size() != sums.sums.size()) {
    for (SampleSums* s : {&sums, &call}) keep_columns(*s, s->channels);
  }
  sums.per_channel = sums.per_channel && call.per_channel;
  for (size_t i = 0; i < sums.sums.size(); ++i) {
    sums.sums[i] += call.sums[i];
    sums.squares[i] += call.squares[i];
  }
}

void add_sums(ValueStats& stats, const SampleSums& s) {
  if (s.channels == 0) return;
  const bool first = stats.shape.empty();  // channels need a rank of 2
  stats.shape = s.shape;
  if (first && s.per_channel) {
    stats.channel_sum.assign(s.channels, 0);
    stats.channel_sum_squares.assign(s.channels, 0);
  }
  const bool per_channel = s.per_channel && stats.channel_sum.size() == s.channels;
  if (!per_channel) {
    stats.channel_sum.clear();
    stats.channel_sum_squares.clear();
  }
  for (size_t row = 0; row < s.sums.size(); row += s.channels) {
    double sum = 0, squares = 0;
    for (size_t c = 0; c < s.channels; ++c) {
      sum += s.sums[row + c];
      squares += s.squares[row + c];
      if (!per_channel) continue;
      stats.channel_sum[c] += s.sums[row + c];
      stats.channel_sum_squares[c] += s.squares[row + c];
    }
    stats.sum += sum;
    stats.sum_squares += squares;
  }
}

void ValueStats::observe(const Tensor& value, int64_t samples_in_value) {
  add_sums(*this, observe_extremes(*this, value, samples_in_value, samples));
}

ValueStats ValueStats::clamped(double lo, double hi) const {
  ValueStats inside;
  inside.count = count;
  inside.samples = samples;
  inside.min = std::clamp(min, lo, hi);
  inside.max = std::clamp(max, lo, hi);
  if (histogram.empty()) return inside;
  // What is clamped lies on an end of the range, where it has no error to weigh.
  std::vector<int64_t> counts = histogram.counts();
  for (size_t b = 0; b < counts.size(); ++b) {
    const double edge = histogram.lower_edge(static_cast<int>(b));
    if (edge + histogram.bin_width() <= lo || edge >= hi) counts[b] = 0;
  }
  inside.histogram = Histogram::from_parts(histogram.exponent(), std::move(counts));
  return inside;
}

void ValueStats::merge(const ValueStats& other) {
  samples += other.samples;
  infinite += other.infinite;
  if (other.count == 0) return;
  if (count == 0) {
    const int64_t all_samples = samples, all_infinite = infinite;
    *this = other;
    samples = all_samples;
    infinite = all_infinite;
    return;
  }
  min = std::min(min, other.min);
  max = std::max(max, other.max);
  sum += other.sum;
  sum_squares += other.sum_squares;
  count += other.count;
  histogram.merge(other.histogram);
  if (!other.shape.empty()) shape = other.shape;
  const bool same = channel_min.size() == other.channel_min.size();
  for (auto* v : {&channel_min, &channel_max, &channel_sum, &channel_sum_squares})
    if (!same) v->clear();
  for (size_t c = 0; c < channel_min.size(); ++c) {
    channel_min[c] = std::min(channel_min[c], other.channel_min[c]);
    channel_max[c] = std::max(channel_max[c], other.channel_max[c]);
  }
  for (size_t c = 0; c < std::min(channel_sum.size(), other.channel_sum.size()); ++c) {
    channel_sum[c] += other.channel_sum[c];
    channel_sum_squares[c] += other.channel_sum_squares[c];
  }
}

}  // namespace qtool
