// Factors for the channels of activations, so that each uses more of the codes that all of them share.
#include <algorithm>
#include <cmath>

#include "qtool/calibrate.hpp"

namespace qtool {
namespace {

// A channel that hardly moves over the calibration data may move more on other data.
constexpr double kMostFactor = 16;
// What a layer's rounded weights may cost more than before.
constexpr double kWeightNoise = 1.05;
// Less is left, so that most networks stay what they are.
constexpr double kLeastGainDb = 2;

// How often each channel fits into the range that all share.
std::vector<double> room(const ValueStats& stats) {
  const double lowest = std::min(stats.min, 0.0), highest = std::max(stats.max, 0.0);
  std::vector<double> factors;
  for (size_t c = 0; c < stats.channel_min.size(); ++c) {
    double factor = kMostFactor;
    if (stats.channel_max[c] > 0) factor = std::min(factor, highest / stats.channel_max[c]);
    if (stats.channel_min[c] < 0) factor = std::min(factor, lowest / stats.channel_min[c]);
    factors.push_back(std::max(factor, 1.0));
  }
  return factors;
}

// Noise power relative to the signal, summed over the rows of all readers: what the rounded input leaves
// there in units of its step, and what rounded weights leave.
struct Noise {
  double input = 0, weights = 0;
};

Noise noise_of(const ScalableValue& value, const std::vector<double>& power,
               const std::vector<double>& factors) {
  struct Row {
    double signal = 0, input = 0, largest = 0, reach = 0;
  };
  Noise noise;
  for (const ChannelReader& reader : value.readers) {
    std::vector<Row> rows(static_cast<size_t>(reader.weight->dim(reader.row_axis)));
    const auto weight = reader.weight->data<float>();
    reader.for_each([&](int64_t r, int64_t channel, size_t element) {
      Row& row = rows[static_cast<size_t>(r)];
      const auto c = static_cast<size_t>(channel);
      const double w = weight[element], scaled = w / factors[c];
      row.signal += w * w * power[c];
      row.input += scaled * scaled;
      row.largest = std::max(row.largest, std::fabs(scaled));
      row.reach += power[c] * factors[c] * factors[c];
    });
    for (const Row& row : rows) {
      if (row.signal <= 0) continue;
      noise.input += row.input / row.signal;
      noise.weights += row.largest * row.largest * row.reach / row.signal;
    }
  }
  return noise;
}

double gain_db(const Noise& before, const Noise& after) {
  return 10 * std::log10(before.input / after.input);
}

}  // namespace

std::vector<EditedValue> equalize(const std::vector<ScalableValue>& values,
                                  const CalibrationTable& table) {
  std::vector<EditedValue> chosen;
  for (const ScalableValue& value : values) {
    const auto it = table.values.find(value.name);
    if (it == table.values.end() || it->second.channel_min.empty()) continue;
    const ValueStats& stats = it->second;
    const std::vector<double> widest = room(stats);
    const double each =
        std::max(1.0, static_cast<double>(stats.count) / static_cast<double>(widest.size()));
    std::vector<double> power, factors(widest.size(), 1.0);
    for (double sum : stats.channel_sum_squares) power.push_back(sum / each);
    const Noise before = noise_of(value, power, factors);
    // Larger factors leave less noise of the input.
    if (!(gain_db(before, noise_of(value, power, widest)) >= kLeastGainDb)) continue;
    double least = before.input;
    std::vector<double> best = factors;
    for (double part : {0.25, 0.5, 0.75, 1.0}) {
      for (size_t c = 0; c < factors.size(); ++c) factors[c] = std::pow(widest[c], part);
      const Noise after = noise_of(value, power, factors);
      if (after.weights > kWeightNoise * before.weights || after.input >= least) continue;
      least = after.input;
      best = factors;
    }
    const double gain = gain_db(before, {.input = least});
    if (!(gain >= kLeastGainDb)) continue;
    chosen.push_back({{value.name, {}, {best.begin(), best.end()}, {}}, gain});
  }
  return chosen;
}

}  // namespace qtool
