// Which of the changes that an optimiser proposes are kept: those that bring held-out outputs closer.
#pragma once

#include <functional>

#include "quantize/internal.hpp"

namespace qtool::qdq {

// What becomes of a network.
struct Candidate {
  LayerResults layers;
  ActivationParams activations;
};

// What may change by itself: a layer with those that share its weight, an activation with those that share
// its parameters; by name.
using Unit = std::vector<std::string>;
std::vector<Unit> layer_units(const Sites& sites, const LayerResults& layers);
std::vector<Unit> activation_units(const Sites& sites, const ActivationParams& activations);

// Takes units of `proposal` into `now` wherever `distance` falls: all at once, or else in halves of halves,
// so that one bad layer does not cost the others; with `trials` calls of `distance` at most. `least` is the
// distance of `now`, before and after. Returns the names that were taken.
std::set<std::string> accept(const Candidate& proposal, const std::vector<Unit>& units,
                             const std::function<double(const Candidate&)>& distance, int trials,
                             Candidate& now, double& least);

}  // namespace qtool::qdq
