// Second moments of a layer's input, side by side in the float and in the quantized network.
#pragma once

#include <functional>

#include "qtool/quantize.hpp"
#include "quantize/fit/columns.hpp"

namespace qtool::qdq {

struct MomentOptions {
  // Output positions sampled over all samples; per group where a convolution has groups.
  int64_t positions = 32768, grouped_positions = 4096;
  // Means are taken off: exact when the bias takes over what the mean does.
  bool centred = true;
  // The layer's float rows, [output channels][columns]: given, its float output may stand for its float input,
  // which is less work where outputs are few.
  std::span<const float> rows = {};
  uint64_t seed = 0;
  int threads = 1;
};

// What surrounds a layer in the float and in the quantized network: its input (undefined in the float network where
// both are one: there is no shift), what is added to its output right behind it (undefined: nothing), its float
// output (asked for where rows are given).
enum class LayerValue { kInput, kQuantizedInput, kResidual, kQuantizedResidual, kOutput };
// One of them, of one chunk of data; called from several threads at once.
using ReadLayerValue = std::function<ChannelBlocks(LayerValue what, int64_t chunk)>;

// The same positions of both networks, drawn per chunk, so that chunks of equal length weigh the same.
// Where columns are many and positions few, moments are shrunk to their diagonal.
InputMoments input_moments(const ColumnReader& reader, int64_t chunks, const ReadLayerValue& read,
                           const MomentOptions& options);

}  // namespace qtool::qdq
