// The list of range methods; a new one is one file, one line here and one in ranges.cpp.
#pragma once

#include "qtool/calibrate.hpp"

namespace qtool::ranges {

extern const RangeMethod kMinMax, kPercentile, kMse, kLp, kEntropy, kOutput;

// [min, max] ∪ {0}.
Range whole(const ValueStats& stats);

}  // namespace qtool::ranges
