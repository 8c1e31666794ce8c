// How much noise at values inside the network counts at its outputs.
#pragma once

#include "qtool/data.hpp"
#include "qtool/plan.hpp"

namespace qtool::fisher {

// Where squared gradients are gathered.
struct Probe {
  std::string value;
  bool channels_last = false;  // channels are the last axis, otherwise axis 1
};

// Per sample: Σ over a channel's positions of E[(∂(v · outputs)/∂value)²] for random v, so that noise
// of power p at each of the channel's positions, independent of all else, makes p times that of
// relative noise power at the outputs (Σ over float outputs of ‖error‖² / ‖output‖²).
struct Sensitivity {
  std::vector<double> channels;
  double positions = 0;  // of one channel, per sample
  double total() const;
};
// One entry a probe, over the first `chunks` chunks. Does not depend on `threads`. Throws Unsupported
// (QT-E320) naming the operator that has no gradient.
std::vector<Sensitivity> output_gradients(const Model& model, const std::vector<Probe>& probes,
                                          const SampleSource& source, int64_t chunks, int threads);

}  // namespace qtool::fisher
