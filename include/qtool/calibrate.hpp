// Calibration layer: what values look like over the data, gathered in one streaming pass, and clip
// ranges chosen from it.
//
//   CalibrationTable table = calibrate(model, activation_names, *source, {.threads = 2});
//   Range r = find_range("mse").choose(table.at("conv1_out"), {.bits = 8});
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "qtool/data.hpp"
#include "qtool/exec.hpp"
#include "qtool/format.hpp"
#include "qtool/graph.hpp"
#include "qtool/passes.hpp"

namespace qtool {

// Counts over bins of width 2^exponent, aligned at zero: bin i holds [i, i+1) · 2^exponent for
// i in [−kHalf, kHalf). The exponent is the smallest that holds every value seen; growing merges
// pairs of bins, so the result does not depend on the order of the data.
class Histogram {
 public:
  static constexpr int kHalf = 2048;
  // Values that are not finite are left out.
  void add(std::span<const float> values);
  // The same for finite values within known bounds, which it grows to hold, each counted `weight` times.
  void add(std::span<const float> values, float min, float max, int64_t weight = 1);
  void merge(const Histogram& other);
  bool empty() const { return counts_.empty(); }
  int exponent() const { return exponent_; }
  // 2·kHalf counts, lowest bin first; empty before the first value.
  const std::vector<int64_t>& counts() const { return counts_; }
  double bin_width() const;
  double lower_edge(int bin) const;  // of counts()[bin]
  static Histogram from_parts(int exponent, std::vector<int64_t> counts);

 private:
  void grow_to(int exponent);
  int exponent_ = -126;
  std::vector<int64_t> counts_;
};

// Everything that range methods and score methods ask of one value. Sums are added sample by sample, so
// they do not depend on how samples were cut into batches; merge() adds two of them.
struct ValueStats {
  int64_t count = 0;  // elements seen
  int64_t samples = 0;
  int64_t infinite = 0;  // elements that were infinite and count as zero
  double min = 0, max = 0, sum = 0, sum_squares = 0;
  Histogram histogram;
  // Along axis 1 when the value has rank 2 or more and that axis one length (up to 65,536), else empty.
  std::vector<double> channel_min, channel_max, channel_sum, channel_sum_squares;
  Shape shape;  // of the last value seen, batch dimension included
  int64_t elements_per_sample() const { return samples ? count / samples : 0; }

  // float32; others are ignored. The samples lie along axis 0. NaN is Error{kData, QT-E460}.
  void observe(const Tensor& value, int64_t samples_in_value);
  void merge(const ValueStats& other);
  // Extremes clamped to [lo, hi], which holds zero, and the histogram of what lies inside; no moments
  // and no channels. For the choice of ranges.
  ValueStats clamped(double lo, double hi) const;
};

struct CalibrationTable {
  std::string model_fingerprint;  // Model::fingerprint of the file that was calibrated
  int64_t samples = 0;
  bool random_data = false;
  std::map<std::string, ValueStats> values;
  const ValueStats& at(
      const std::string& value) const;  // throws Error{kUsage} naming the command that repairs
};

struct CalibrateOptions {
  int threads = 1;
};
// One pass over the data. `names`: values to observe, in the main graph or in bodies; they stay visible to fusion.
// What no sample reaches has a count of 0. The same table for any
// number of threads and any chunk size; memory does not grow with the number of samples.
CalibrationTable calibrate(const Model& model, const std::vector<std::string>& names,
                           const SampleSource& source, const CalibrateOptions& options);

struct SynthesisOptions {
  int64_t samples = 64;
  int steps = 100;
  uint64_t seed = 0;
  int threads = 1;
};
// Samples without any data, and the input that they are for: noise, changed until its means and deviations
// in front of the model's batch normalizations are those that they remember. `model`: as it was loaded.
// Throws Error{kUsage, QT-E463} where there is no such operator, or more than one input.
std::pair<std::string, Tensor> synthesize(const Model& model, const SynthesisOptions& options);

// Ranks of float values whose shape or type is not known to the model, those inside bodies included, as the first
// chunk of data has them, or one of the first eight where branches are not taken before.
std::map<std::string, int64_t> observed_ranks(const Model& model, const SampleSource& source);
// Makes them known: shapes of so many unknown dimensions, of float32.
void set_ranks(Model& model, const std::map<std::string, int64_t>& ranks);

// An edit of a value's channels, after which rounding to the steps that all share costs the layers that read it
// `gain_db` less.
struct EditedValue {
  ChannelEdit edit;
  double gain_db = 0;
  std::vector<std::string> methods = {};  // of outlier_methods() that took part
};
// Factors of at least 1, with which channels still fit into the range that they share. Of each value the power of
// (shared range / channel's range), 0 to 1, that leaves the least noise of the rounded value behind its readers without
// more than 5 % more of their rounded weights'; values that gain less than 2 dB are left out. Noise counts relative to
// each output channel's own power.
std::vector<EditedValue> equalize(const std::vector<ScalableValue>& values,
                                  const CalibrationTable& table);

// JSON with histograms and channels in `<path>.bin` beside it, whose checksum it holds; both atomic; exact
// round trip. A file that is missing or damaged is Error{kUsage, QT-E140}.
void save_calibration(const CalibrationTable& table, const std::filesystem::path& path);
CalibrationTable load_calibration(const std::filesystem::path& path);

// --- ranges: src/calibrate/ranges/<method>.cpp, one record a method --------------------------------
struct Range {
  double lo = 0, hi = 0;  // lo ≤ 0 ≤ hi
};
struct RangeMethod {
  std::string_view name, summary;
  Range (*choose)(const ValueStats& stats, const QuantSpec& spec);
};
std::span<const RangeMethod* const> range_methods();
const RangeMethod& find_range(std::string_view name);  // throws Error{kUsage} with the nearest name

// --- outliers of what dense layers read: src/calibrate/outliers/<method>.cpp, one record a method ----------
// A value's channels as layers see them.
struct DenseChannels {
  std::vector<float> rows;       // [rows][channels], some of them
  std::vector<float> low, high;  // of a channel, over all data that was looked at
  std::vector<std::vector<float>>
      columns;  // of each layer's weight, [channels][outputs], some of its outputs
};
struct OutlierMethod {
  std::string_view name, summary;
  double least_gain_db = 0;  // below it the value is left as it is
  double step_gain_db = 0;   // that a later, dearer proposal must bring more than the one before
  std::vector<ChannelEdit> (*propose)(const DenseChannels& channels);
};
std::span<const OutlierMethod* const> outlier_methods();
// In the order in which they are tried. Throws Error{kUsage} with the nearest name.
std::vector<const OutlierMethod*> find_outlier_methods(const std::vector<std::string>& names);
// Of each of dense_inputs() what the methods, one behind the other, gain by the measured error of its layers with
// inputs and weights in 8 bits; values that gain nothing are left out.
std::vector<EditedValue> ease_outliers(const Model& model, const std::vector<ScalableValue>& values,
                                       const SampleSource& source,
                                       const std::vector<const OutlierMethod*>& methods,
                                       int threads);

}  // namespace qtool
