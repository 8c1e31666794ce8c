// Ranges of activations by what they do to the outputs of the layers that read them.
#pragma once

#include "quantize/internal.hpp"

namespace qtool::qdq {

// Makes ranges wider or narrower, zero points kept, where layers read them: each range leaves the least error of its
// readers' outputs in the float network that is still there when the readers' weights make up for what they can,
// which the fit will do. Looks at some of the first `chunks` chunks.
void choose_ranges_by_output(const Model& model, const Sites& sites, const SampleSource& source,
                             int64_t chunks, int threads, ActivationParams& activations);

}  // namespace qtool::qdq
