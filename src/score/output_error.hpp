// Distances of a network's outputs from the float network's.
#pragma once

#include <vector>

#include "qtool/data.hpp"

namespace qtool::scoring {

// Σ over float outputs of ‖have − want‖² / ‖want‖²: relative noise power.
double relative_noise(const std::vector<Tensor>& want, const std::vector<Tensor>& have);

// The same of each sample of a batch, relative to the batch's outputs: the mean is relative_noise. Samples that do not
// lie along axis 0 have equal parts.
std::vector<double> noise_by_sample(const std::vector<Tensor>& want,
                                    const std::vector<Tensor>& have, int64_t samples);

// Samples whose largest element of the first float output is the same; `samples` lie along axis 0 where
// they can, else all is one sample.
int64_t agreeing(const std::vector<Tensor>& want, const std::vector<Tensor>& have, int64_t samples);

// KL(softmax(want) ‖ softmax(have)) along the last axis of the float outputs, mean over rows, summed
// over outputs. Outputs that are probabilities already (every row sums to one) are taken as they are.
double divergence(const std::vector<Tensor>& want, const std::vector<Tensor>& have);

// have − want of a batch, relative as relative_noise has it and weighted by the batch's part of `samples`,
// as a sum of random signs in `size` dimensions (a count sketch: Charikar et al. 2002), which keeps inner
// products between errors. What lands where depends on the sample and the element alone.
std::vector<float> projected_error(const std::vector<Tensor>& want, const std::vector<Tensor>& have,
                                   const Batch& batch, int64_t samples, int64_t size);

}  // namespace qtool::scoring
