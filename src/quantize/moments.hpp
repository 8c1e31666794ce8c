// Second moments of a layer's input, side by side in the float and in the quantized network.
#pragma once

#include <functional>

#include "qtool/quantize.hpp"
#include "quantize/columns.hpp"

namespace qtool::qdq {

struct MomentOptions {
  // Output positions sampled over all samples; per group where a convolution has groups.
  int64_t positions = 32768, grouped_positions = 4096;
  // Means are taken off: exact when the bias takes over what the mean does.
  bool centred = true;
  uint64_t seed = 0;
  int threads = 1;
};

// What surrounds a layer in the float and in the quantized network, for one chunk of data: its input,
// and what is added to its output right behind it (undefined: nothing). When one tensor is both
// inputs, there is no shift.
struct LayerValues {
  Tensor input, quantized_input, residual, quantized_residual;
};

// The same positions of both, drawn per chunk, so that chunks of equal length weigh the same.
// Where columns are many and positions few, moments are shrunk to their diagonal.
InputMoments input_moments(const ColumnReader& reader, int64_t chunks,
                           const std::function<LayerValues(int64_t chunk)>& values,
                           const MomentOptions& options);

}  // namespace qtool::qdq
