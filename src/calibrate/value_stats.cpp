#include <algorithm>

#include "calibrate/observation.hpp"

namespace qtool {
namespace {

// Adds up to one row of so many columns.
void keep_columns(SampleSums& s, size_t columns) {
  for (std::vector<double>* values : {&s.sums, &s.squares}) {
    std::vector<double> row(columns, 0);
    for (size_t i = 0; i < values->size(); ++i) row[i % columns] += (*values)[i];
    *values = std::move(row);
  }
  s.channels = columns;
}

}  // namespace

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
