// Quantiles of the histogram: one value in ten thousand may lie beyond each end.
#include <algorithm>

#include "calibrate/ranges/ranges.hpp"

namespace qtool::ranges {
namespace {

constexpr double kTail = 1e-4;

// Position below which `target` of the mass lies, in bins from the first; linear within a bin.
double quantile(const std::vector<int64_t>& counts, double target) {
  double below = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= target) return static_cast<double>(i) + (target - below) / here;
    below += here;
  }
  return static_cast<double>(counts.size());
}

// Counts of magnitudes: bin i holds [i, i + 1) of both signs.
std::vector<int64_t> magnitudes(const std::vector<int64_t>& counts) {
  const size_t half = counts.size() / 2;
  std::vector<int64_t> folded(half);
  for (size_t i = 0; i < half; ++i) folded[i] = counts[half + i] + counts[half - 1 - i];
  return folded;
}

Range choose(const ValueStats& stats, const QuantSpec& spec) {
  const Range all = whole(stats);
  if (stats.histogram.empty() || stats.min == stats.max) return all;
  const std::vector<int64_t>& counts = stats.histogram.counts();
  const double width = stats.histogram.bin_width(), total = static_cast<double>(stats.count);
  Range r;
  if (spec.symmetric) {
    const double limit = quantile(magnitudes(counts), (1 - kTail) * total) * width;
    r = {std::max(all.lo, -limit), std::min(all.hi, limit)};
  } else {
    const double lo = (quantile(counts, kTail * total) - Histogram::kHalf) * width;
    const double hi = (quantile(counts, (1 - kTail) * total) - Histogram::kHalf) * width;
    r = {std::clamp(lo, all.lo, 0.0), std::clamp(hi, 0.0, all.hi)};
  }
  // Nearly all zeros, as far as the bins can tell: clipping the few others away would leave nothing.
  return r.lo >= -width && r.hi <= width ? all : r;
}

}  // namespace

const RangeMethod kPercentile = {
    .name = "percentile",
    .summary = "all but 0.01 % of the values beyond each end",
    .choose = choose,
};

}  // namespace qtool::ranges
