// One value of one chunk, split by what its statistics need: extremes and histograms commute and may be
// gathered by any thread; sums do not, so they are kept sample by sample until their turn comes.
#pragma once

#include "qtool/calibrate.hpp"

namespace qtool {

struct SampleSums {
  Shape shape;                        // of the value
  size_t channels = 0;                // columns of the matrices; 0: nothing was observed
  bool per_channel = false;           // else one column for all
  std::vector<double> sums, squares;  // [samples][channels]
};

// Adds everything but sums and shape to `stats` and returns those; `first_sample` is the number of the first
// sample in the whole data. Throws Error{kData, QT-E460} on NaN.
SampleSums observe_extremes(ValueStats& stats, const ChannelBlocks& value, int64_t samples,
                            int64_t first_sample);
// The same; values of other types are ignored.
SampleSums observe_extremes(ValueStats& stats, const Tensor& value, int64_t samples,
                            int64_t first_sample);
// Adds those of one more call of the body that the value is in, for the same samples.
void add_call(SampleSums& sums, SampleSums call);
// Adds them, one sample after the other: the same bits however samples were cut into chunks.
void add_sums(ValueStats& stats, const SampleSums& sums);

}  // namespace qtool
