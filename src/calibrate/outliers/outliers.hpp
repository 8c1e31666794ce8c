// The list of methods; a new one is one file, one line here and one in outliers.cpp.
#pragma once

#include "qtool/calibrate.hpp"

namespace qtool::outliers {

extern const OutlierMethod kShift, kSplit, kMigrate;

// How far channel c reaches from 0.
inline float reach(const DenseChannels& channels, size_t c) {
  return std::max(-channels.low[c], channels.high[c]);
}

}  // namespace qtool::outliers
