// Memory of activations while a network runs (layer plan).
//
//   int64_t bytes = peak_activation_bytes(live_sets(prepared, sites), plan);
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "qtool/plan.hpp"

namespace qtool {

// What is alive while one node runs, per sample: its inputs, its outputs and what later nodes still read,
// nodes in graph order. A layer's sum in front of its folded activation is not counted: it is never stored.
struct LiveSet {
  std::string node;
  std::map<std::string, int64_t> elements;  // by activation site
  std::set<std::string> branched;           // of those, stored with kBranchBits at least
  int64_t float_elements = 0;               // of values without a site, 32 bits each
  // The width that one of `elements` is stored in when layers read it in `bits`.
  int stored_bits(const std::string& value, int bits) const;
};
// One a node, without those that another holds altogether; values of unknown shape count nothing.
std::vector<LiveSet> live_sets(const Model& model, const Sites& sites);

// The most that is alive at once under a plan, each value at the width that it is stored in.
int64_t peak_activation_bytes(const std::vector<LiveSet>& sets, const QuantPlan& plan);

}  // namespace qtool
