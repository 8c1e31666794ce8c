// Distances of a network's outputs from the float network's.
#pragma once

#include <vector>

#include "qtool/tensor.hpp"

namespace qtool::scoring {

// Σ over float outputs of ‖have − want‖² / ‖want‖²: relative noise power.
double relative_noise(const std::vector<Tensor>& want, const std::vector<Tensor>& have);

// Samples whose largest element of the first float output is the same; `samples` lie along axis 0 where
// they can, else all is one sample.
int64_t agreeing(const std::vector<Tensor>& want, const std::vector<Tensor>& have, int64_t samples);

// KL(softmax(want) ‖ softmax(have)) along the last axis of the float outputs, mean over rows, summed
// over outputs. Outputs that are probabilities already (every row sums to one) are taken as they are.
double divergence(const std::vector<Tensor>& want, const std::vector<Tensor>& have);

}  // namespace qtool::scoring
