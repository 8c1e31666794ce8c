// Label-free tuning of a quantized network against the float one ("distill").
#pragma once

#include "quantize/internal.hpp"

namespace qtool::qdq {

struct DistillOptions {
  int64_t fit_chunks = 0;  // the first chunks of the data, which the gradients see
  int64_t last_chunk = 0;  // those up to here decide which round was best
  int rounds = 10;         // over the data that is fitted
  int threads = 1;
};

// Row scales, biases and activation scales by gradient descent (Adam, arXiv 1412.6980) on the outputs'
// distance to the float network's, codes kept; the round with the smallest distance on the chunks that are
// not fitted is applied, none if that is the start. Returns whether one was. Throws Unsupported (QT-E320)
// where an operator has no gradient.
bool distill(const Model& model, const Sites& sites, const QuantPlan& plan,
             const SampleSource& source, const DistillOptions& options, LayerResults& layers,
             ActivationParams& activations);

}  // namespace qtool::qdq
