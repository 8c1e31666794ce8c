// Channels around their middles (Outlier Suppression+, arXiv 2304.09145, section 3.1).
#include "calibrate/outliers/outliers.hpp"

namespace qtool::outliers {
namespace {

std::vector<ChannelEdit> propose(const DenseChannels& channels) {
  ChannelEdit edit;
  for (size_t c = 0; c < channels.low.size(); ++c)
    edit.shifts.push_back((channels.low[c] + channels.high[c]) / 2);
  return {edit};
}

}  // namespace

const OutlierMethod kShift = {
    .name = "shift",
    .summary = "the middle of each channel's range becomes 0; biases make up for it",
    .least_gain_db = 1,
    .propose = propose,
};

}  // namespace qtool::outliers
