// The noise that a layer's quantized weights make in its output, by row and width.
#pragma once

#include "qtool/quantize.hpp"
#include "score/output_gradients.hpp"

namespace qtool::fisher {

struct WeightErrorOptions {
  std::vector<int> bits;
  std::string optimizer;
  int threads = 1;
};

// [layer][output channel][width]: noise power at one position of the channel, in the float network, of
// the weights that the optimiser leaves. Where the layer has a bias, that takes the mean error over.
// `gradients` tells of layers that are no column products how many positions their outputs have.
std::vector<std::vector<std::vector<double>>> weight_errors(
    const Model& model, const std::vector<const LayerSite*>& layers,
    const std::vector<Sensitivity>& gradients, const CalibrationTable& table,
    const SampleSource& source, int64_t chunks, const WeightErrorOptions& options);

}  // namespace qtool::fisher
