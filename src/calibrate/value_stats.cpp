#include <algorithm>
#include <cmath>
#include <limits>

#include "calibrate/observation.hpp"
#include "calibrate/sweep.hpp"

namespace qtool {
namespace {

// A value with more channels than this keeps no statistics per channel: memory stays bounded.
constexpr int64_t kMaxChannels = 1 << 16;

// A value as [samples][slabs][channels][inner], contiguous.
struct View {
  const float* data = nullptr;
  int64_t samples = 1, slabs = 1, channels = 1, inner = 1;
  bool per_channel = false;
};

View view_of(const Tensor& value, int64_t samples) {
  View v;
  v.data = value.data<float>().data();
  if (value.rank() >= 1 && samples >= 1 && value.dim(0) % samples == 0) v.samples = samples;
  v.per_channel = value.rank() >= 2 && value.dim(1) <= kMaxChannels;
  if (v.per_channel) {
    v.slabs = value.dim(0) / v.samples;
    v.channels = value.dim(1);
  }
  v.inner = value.size() / (v.samples * v.slabs * v.channels);
  return v;
}

// Extremes and moments of the channels of one slab; reused from slab to slab.
struct Slab {
  std::vector<sweep::Run> channels;
  float min = 0, max = 0;
  bool finite = true;

  void read(const float* x, const View& v) {
    channels.resize(static_cast<size_t>(v.channels));
    double squares = 0;
    for (sweep::Run& c : channels) {
      if (v.inner == 1) {
        const double value = *x;
        c = {*x, *x, value, value * value};
      } else {
        c = sweep::run(x, v.inner);
      }
      squares += c.sum_squares;
      x += v.inner;
    }
    finite = std::isfinite(squares);
    min = max = channels[0].min;
    for (const sweep::Run& c : channels) {
      min = std::min(min, c.min);
      max = std::max(max, c.max);
    }
  }
};

// Neighbouring slabs on their way into the histogram, which likes them long but still in the cache.
class PendingBins {
 public:
  PendingBins(Histogram& histogram, Portion portion) : histogram_(histogram), portion_(portion) {}
  void add(std::span<const float> values, float min, float max) {
    if (!values_.empty() &&
        (values_.data() + values_.size() != values.data() || values_.size() >= kEnough))
      flush();
    if (values_.empty()) {
      values_ = values;
      min_ = min;
      max_ = max;
      return;
    }
    values_ = {values_.data(), values_.size() + values.size()};
    min_ = std::min(min_, min);
    max_ = std::max(max_, max);
  }
  void flush() {
    histogram_.add(values_, min_, max_, portion_);
    values_ = {};
  }
  // Of what follows.
  void set_portion(Portion portion) {
    if (portion == Portion::kQuarter || portion != portion_) flush();
    portion_ = portion;
  }

 private:
  static constexpr size_t kEnough = 1 << 15;
  Histogram& histogram_;
  Portion portion_;
  std::span<const float> values_;
  float min_ = 0, max_ = 0;
};

// How much of a sample's values the histogram counts. The first million is counted whole; beyond, a quarter of
// large values tells as much. It depends on the sample's number alone, not on chunks or threads.
Portion portion_of(int64_t sample, int64_t elements) {
  constexpr int64_t kWhole = 1 << 20, kLarge = 1 << 12;
  return elements >= kLarge && sample >= (kWhole + elements - 1) / elements ? Portion::kQuarter
                                                                            : Portion::kAll;
}

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
  for (size_t c = 0; c < slab.channels.size(); ++c) {
    stats.channel_min[c] = std::min<double>(stats.channel_min[c], slab.channels[c].min);
    stats.channel_max[c] = std::max<double>(stats.channel_max[c], slab.channels[c].max);
  }
}

}  // namespace

SampleSums observe_extremes(ValueStats& stats, const Tensor& value, int64_t samples,
                            int64_t first_sample) {
  SampleSums result;
  if (value.dtype() != DType::kFloat) return result;
  stats.samples += samples;
  if (value.size() == 0) return result;
  const View v = view_of(value, samples);
  const bool per_channel = keep_channels(stats, v.per_channel, static_cast<size_t>(v.channels));
  result.shape = value.shape();
  result.channels = static_cast<size_t>(v.channels);
  result.per_channel = v.per_channel;
  result.sums.resize(static_cast<size_t>(v.samples * v.channels));
  result.squares.resize(result.sums.size());
  const int64_t slab_size = v.channels * v.inner;
  const float* x = v.data;
  Slab slab;
  PendingBins bins(stats.histogram, Portion::kAll);
  for (int64_t s = 0; s < v.samples; ++s) {
    bins.set_portion(portion_of(first_sample + s, v.slabs * slab_size));
    double* sums = result.sums.data() + s * v.channels;
    double* squares = result.squares.data() + s * v.channels;
    for (int64_t k = 0; k < v.slabs; ++k, x += slab_size) {
      slab.read(x, v);
      if (slab.finite) {
        bins.add({x, static_cast<size_t>(slab_size)}, slab.min, slab.max);
      } else {
        const std::vector<float> clean = without_infinities(x, slab_size, stats.infinite);
        slab.read(clean.data(), v);
        stats.histogram.add(clean, slab.min, slab.max);
      }
      for (size_t c = 0; c < slab.channels.size(); ++c) {
        sums[c] += slab.channels[c].sum;
        squares[c] += slab.channels[c].sum_squares;
      }
      absorb(stats, slab, per_channel);
      stats.count += slab_size;
    }
  }
  bins.flush();
  return result;
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
