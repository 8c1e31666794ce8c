// Search for the clip range of least cost. Everything is in units of the histogram's bin width, so the
// choice does not depend on the scale of the data.
#pragma once

#include <functional>
#include <vector>

#include "qtool/calibrate.hpp"

namespace qtool::ranges {

// The codes' reals: multiples of step from low to high.
struct Grid {
  double step = 1;
  int64_t lowest = 0, highest = 0;  // low = lowest · step, high = highest · step
  double low() const { return static_cast<double>(lowest) * step; }
  double high() const { return static_cast<double>(highest) * step; }
};
// The grid of a spec over [lo, hi] ∋ 0, lo < hi.
Grid grid_over(double lo, double hi, const QuantSpec& spec);

// Shrinks the whole range by ratios from 1.00 down to 0.01: both ends together, then each end alone.
// Symmetric specs have one limit for both. Of equal costs the wider range wins.
Range search_clip(const ValueStats& stats, const QuantSpec& spec,
                  const std::function<double(const Grid&)>& cost);

// Least mean error E|x − dequantized(x)|^p; values are taken as spread evenly within a bin.
Range least_error(const ValueStats& stats, const QuantSpec& spec, double p);

}  // namespace qtool::ranges
