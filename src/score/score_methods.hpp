// Score methods, one file each, and what they share.
#pragma once

#include "qtool/score.hpp"

namespace qtool {

extern const ScoreMethod kAuto, kClass, kFisher, kHessian, kInteraction, kKl, kOrthogonality, kSqnr,
    kWeightNorm;

std::vector<const LayerSite*> quantizable_layers(const Sites& sites);

// A layer's group with a price for every filter, all 0 as yet.
GroupScore unpriced_filters(const LayerSite& site, const std::vector<Width>& widths);
// Gives a filter its price at a width, which adds to its layer's.
void set_price(GroupScore& group, size_t filter, size_t width, double price);

// The layer's bias, or zeros, with what a weight leaves for it to take over.
std::vector<float> shifted_bias(const Model& model, const LayerSite& site,
                                const std::vector<float>& shift);

// For methods that follow layers through the main graph. Throws Unsupported where one stands inside a body.
void require_main_graph(std::string_view method, const Sites& sites);
// The first chunks of the data that hold at least the wanted number of samples.
struct ScoredChunks {
  int64_t chunks = 0, samples = 0;
};
ScoredChunks scored_chunks(const SampleSource& source, int64_t samples);

// Where widths of activations are priced, owners of parameters in the main graph: what stands inside a body is
// changed by no step of a run.
std::vector<const ActivationSite*> priced_activations(const Model& model, const Sites& sites,
                                                      const ScoreOptions& options);
// The values whose parameters an owner decides, but those that merely move its codes.
std::vector<std::string> covered_values(const ActivationSite& owner);

// Whether layers alone read codes of this width, apart from branches of the same values.
bool is_read_apart(const Width& width);
// Of those that an owner decides, the values of split_branches() that layers read apart.
std::vector<std::string> values_read_apart(const Sites& sites, const ActivationSite& owner);

// For methods that say nothing of activations. Throws Error{kUsage, QT-E139} when widths of
// activations are searched.
void require_fixed_activations(std::string_view method, const ScoreOptions& options);

}  // namespace qtool
