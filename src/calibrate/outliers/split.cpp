// Channels that reach far become several, each with a part of their values (outlier channel splitting,
// arXiv 1901.09504, section 3.3).
#include <algorithm>

#include "calibrate/outliers/outliers.hpp"

namespace qtool::outliers {
namespace {

// Copies a channel, and a multiple of 4, in which kernels take columns, where there are many.
constexpr double kParts[] = {1. / 64, 1. / 32, 1. / 16};
constexpr int64_t kAtOnce = 4, kMany = 64;

int64_t copies_for(double part, size_t channels) {
  const auto copies =
      std::max<int64_t>(1, static_cast<int64_t>(part * static_cast<double>(channels)));
  return static_cast<int64_t>(channels) < kMany ? copies
                                                : (copies + kAtOnce - 1) / kAtOnce * kAtOnce;
}

// Each copy goes to the channel whose parts reach farthest, which leaves the least range.
std::vector<ChannelEdit> propose(const DenseChannels& channels) {
  const size_t count = channels.low.size();
  std::vector<int64_t> times(count, 1), copies;
  std::vector<ChannelEdit> proposals;
  const auto part = [&](size_t c) { return reach(channels, c) / static_cast<float>(times[c]); };
  for (const double share : kParts) {
    const int64_t wanted = copies_for(share, count);
    if (!proposals.empty() && wanted == static_cast<int64_t>(copies.size())) continue;
    while (static_cast<int64_t>(copies.size()) < wanted) {
      size_t farthest = 0;
      for (size_t c = 1; c < count; ++c)
        if (part(c) > part(farthest)) farthest = c;
      ++times[farthest];
      copies.push_back(static_cast<int64_t>(farthest));
    }
    ChannelEdit edit;
    for (const int64_t n : times) edit.factors.push_back(1.f / static_cast<float>(n));
    edit.copies = copies;
    std::ranges::sort(edit.copies);
    proposals.push_back(std::move(edit));
  }
  return proposals;
}

}  // namespace

const OutlierMethod kSplit = {
    .name = "split",
    .summary = "channels that reach far become several, with a part of their values each",
    .least_gain_db = 2,
    .step_gain_db = 1,
    .propose = propose,
};

}  // namespace qtool::outliers
