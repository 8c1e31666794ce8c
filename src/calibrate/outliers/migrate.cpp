// Factors that move outliers of activations into the weights that read them (SmoothQuant, arXiv 2211.10438, eq. 4).
#include <algorithm>
#include <cmath>

#include "calibrate/outliers/outliers.hpp"

namespace qtool::outliers {
namespace {

constexpr double kPowers[] = {0.25, 0.5, 0.75};

// Of every channel over all readers.
std::vector<float> largest_weights(const DenseChannels& channels) {
  const size_t count = channels.low.size();
  std::vector<float> largest(count, 0.f);
  for (const std::vector<float>& columns : channels.columns) {
    const size_t outputs = columns.size() / count;
    for (size_t i = 0; i < columns.size(); ++i)
      largest[i / outputs] = std::max(largest[i / outputs], std::fabs(columns[i]));
  }
  return largest;
}

std::vector<ChannelEdit> propose(const DenseChannels& channels) {
  const std::vector<float> weights = largest_weights(channels);
  std::vector<ChannelEdit> proposals;
  for (const double power : kPowers) {
    std::vector<float> factors;
    double logs = 0;
    for (size_t c = 0; c < weights.size(); ++c) {
      const float x = reach(channels, c);
      // Channels that are always 0, or that nobody weighs, stay.
      const double by =
          x > 0 && weights[c] > 0 ? std::pow(weights[c], 1 - power) / std::pow(x, power) : 1;
      factors.push_back(static_cast<float>(by));
      logs += std::log(by);
    }
    const double middle = std::exp(logs / static_cast<double>(factors.size()));
    for (float& f : factors) f = static_cast<float>(f / middle);
    proposals.push_back({"", {}, std::move(factors), {}});
  }
  return proposals;
}

}  // namespace

const OutlierMethod kMigrate = {
    .name = "migrate",
    .summary = "channels that reach far give a part of that to the weights that read them",
    .least_gain_db = 0.5,
    .propose = propose,
};

}  // namespace qtool::outliers
