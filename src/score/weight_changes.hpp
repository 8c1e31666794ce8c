// What quantization changes in a layer's weights, by width.
#pragma once

#include "qtool/quantize.hpp"

namespace qtool::fisher {

struct WeightChangeOptions {
  std::vector<int> bits;
  std::string optimizer;
  int threads = 1;
};

// [layer][width]: quantized − float weight as the optimiser leaves it in the float network, in the
// weight's shape; undefined for float widths. Optimisers that need moments take them from the first
// `chunks` chunks.
std::vector<std::vector<Tensor>> weight_changes(const Model& model,
                                                const std::vector<const LayerSite*>& layers,
                                                const CalibrationTable& table,
                                                const SampleSource& source, int64_t chunks,
                                                const WeightChangeOptions& options);

}  // namespace qtool::fisher
