// Values that layers read and others, too (layer plan).
//
//   uniform w4a4: a residual sum has 8 bits for the next sum and 4 for the convolution that reads it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "qtool/plan.hpp"

namespace qtool {

// The width that others than layers read a value in when layers read it in less.
inline constexpr int kBranchBits = 8;

// Activation sites among whose values of equal parameters a layer reads one and others than layers and data movement
// read one, or it is an output.
std::set<std::string> branched_values(const Sites& sites);

// Lets branches be as narrow as what layers read.
void join_branches(Sites& sites);

// Of branched values, the ones that no layer reads get kBranchBits at least.
void widen_branches(QuantPlan& plan, const Sites& sites);

// The values that layers read apart from others when codes of `owner` are narrow: itself or values that have its
// parameters.
std::vector<const ActivationSite*> read_apart(const Sites& sites, const ActivationSite& owner);

// The model with an Identity in front of all layers that read a branched value of the main graph, whose result is called
// read_by_layers(value): what layers read is a value of its own. Throws Unsupported where the
// model has a value of that name.
Model split_branches(const Model& model, const Sites& sites);
std::string read_by_layers(const std::string& value);

}  // namespace qtool
