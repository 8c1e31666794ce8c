#include <algorithm>

#include "calibrate/ranges/ranges.hpp"

namespace qtool::ranges {

Range whole(const ValueStats& stats) {
  if (stats.count == 0) return {};
  return {std::min(0.0, stats.min), std::max(0.0, stats.max)};
}

const RangeMethod kMinMax = {
    .name = "minmax",
    .summary = "the extremes seen",
    .choose = [](const ValueStats& stats, const QuantSpec&) { return whole(stats); },
};

}  // namespace qtool::ranges
