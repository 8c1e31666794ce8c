#include "calibrate/ranges/clip_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "calibrate/ranges/ranges.hpp"

namespace qtool::ranges {
namespace {

constexpr int kSteps = 100;

// The error integral ∫ |t − dequantized(t)|^p dt up to x, from the grid's low end.
class ErrorIntegral {
 public:
  ErrorIntegral(const Grid& grid, double p)
      : power_(p + 1),
        low_(grid.low()),
        high_(grid.high()),
        step_(grid.step),
        cell_(2 * part(0.5)),
        unit_(std::pow(grid.step, power_)),
        whole_(inside(high_)) {}

  double operator()(double x) const {
    if (x < low_) return -part(low_ - x);
    if (x > high_) return whole_ + part(x - high_);
    return inside(x);
  }

 private:
  double part(double distance) const {
    const double raised = power_ == 3 ? distance * distance * distance : std::pow(distance, power_);
    return raised / power_;
  }
  double inside(double x) const {
    const double cells = (x - low_) / step_, full = std::floor(cells), rest = cells - full;
    const double partial = rest <= 0.5 ? part(rest) : cell_ - part(1 - rest);
    return unit_ * (full * cell_ + partial);
  }

  double power_, low_, high_, step_, cell_, unit_, whole_;
};

}  // namespace

Grid grid_over(double lo, double hi, const QuantSpec& spec) {
  Grid g;
  if (spec.symmetric) {
    g.highest = std::max<int64_t>(1, (int64_t{1} << (spec.bits - 1)) - 1);
    g.lowest = -g.highest - (spec.narrow ? 0 : 1);
    g.step = std::max(-lo, hi) / static_cast<double>(g.highest);
    return g;
  }
  const int64_t steps = (int64_t{1} << spec.bits) - 1;
  g.step = (hi - lo) / static_cast<double>(steps);
  g.lowest = static_cast<int64_t>(std::nearbyint(lo / g.step));
  g.highest = g.lowest + steps;
  return g;
}

Range search_clip(const ValueStats& stats, const QuantSpec& spec,
                  const std::function<double(const Grid&)>& cost) {
  const Range all = whole(stats);
  if (stats.histogram.empty() || stats.min == stats.max) return all;
  const double width = stats.histogram.bin_width();
  double best = std::numeric_limits<double>::infinity(), best_lo = 1, best_hi = 1;
  const auto attempt = [&](double lo_ratio, double hi_ratio) {
    const double c = cost(grid_over(all.lo / width * lo_ratio, all.hi / width * hi_ratio, spec));
    if (!(c < best)) return;
    best = c;
    best_lo = lo_ratio;
    best_hi = hi_ratio;
  };
  const auto ratio = [](int k) { return static_cast<double>(k) / kSteps; };
  for (int k = kSteps; k >= 1; --k) attempt(ratio(k), ratio(k));
  if (spec.symmetric) {
    const double limit = std::max(-all.lo, all.hi) * best_hi;
    return {std::max(all.lo, -limit), std::min(all.hi, limit)};
  }
  if (all.lo < 0 && all.hi > 0) {
    for (int k = kSteps; k >= 1; --k) attempt(best_lo, ratio(k));
    for (int k = kSteps; k >= 1; --k) attempt(ratio(k), best_hi);
    for (int k = kSteps; k >= 1; --k) attempt(best_lo, ratio(k));
  }
  return {all.lo * best_lo, all.hi * best_hi};
}

Range least_error(const ValueStats& stats, const QuantSpec& spec, double p) {
  const std::vector<int64_t>& counts = stats.histogram.counts();
  double least = std::numeric_limits<double>::infinity();  // of the grids so far
  return search_clip(stats, spec, [&](const Grid& grid) {
    const ErrorIntegral integral(grid, p);
    double total = 0, after = 0;
    bool known = false;  // `after` is the integral up to this bin's upper edge
    // From the far end, where what a grid clips costs most: hopeless grids are left soon.
    for (size_t i = counts.size(); i-- > 0;) {
      if (counts[i] == 0) {
        known = false;
        continue;
      }
      const double edge = static_cast<double>(i) - Histogram::kHalf;
      if (!known) after = integral(edge + 1);
      const double before = integral(edge);
      total += static_cast<double>(counts[i]) * (after - before);
      if (!(total < least)) return total;
      after = before;
      known = true;
    }
    least = total;
    return total;
  });
}

}  // namespace qtool::ranges
