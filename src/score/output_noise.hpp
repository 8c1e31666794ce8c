// What changes of weights and noise of activations make at the network's outputs, to first order.
#pragma once

#include "qtool/data.hpp"
#include "score/row_noise.hpp"

namespace qtool::fisher {

// All as relative noise power, Σ over float outputs of ‖error‖² / ‖output‖², mean over samples.
struct OutputNoise {
  // [layer][row of the weight][change], each row by itself. A layer with a bias input is priced with
  // the bias that keeps each channel's mean.
  std::vector<std::vector<std::vector<double>>> rows;
  // By activation: what noise of unit power makes, independent in every element.
  std::vector<double> activations;
  // [activation][mode]: what the errors of codes with parameters found at run time make, taken as independent.
  std::vector<std::vector<double>> at_run_time;
};

// Over the first `chunks` chunks; does not depend on `threads`. The error along a random direction v of
// the outputs is Σ over positions of ∂(v · outputs)/∂y · δy, for a layer's raw output y (row_noise.hpp): its square,
// averaged over v and samples, holds all correlation between positions. Throws Unsupported (QT-E320)
// naming the operator that has no gradient.
OutputNoise output_noise(const Model& model, const std::vector<LayerChanges>& layers,
                         const std::vector<std::string>& activations,
                         const std::vector<ActivationMode>& modes, const SampleSource& source,
                         int64_t chunks, int threads);

// Seeds of a backward pass along a random direction of the outputs: normal numbers that depend on the sample
// and `direction` < 2 alone, divided by the outputs' norms over the chunk.
std::vector<Tensor> random_seeds(const std::vector<Tensor>& outputs, const Batch& batch,
                                 int direction);

// Throws Unsupported as output_noise would, without running anything.
void require_gradients(const Model& model, const std::vector<const LayerSite*>& layers,
                       const std::vector<std::string>& activations);

}  // namespace qtool::fisher
