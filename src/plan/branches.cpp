// Values that layers read and others, too: sums of a residual network. Below 8 bits codes are narrow for the layers
// alone, whose products they make cheap, while the branch keeps 8 (HAWQ-V3, arXiv 2011.10680, figure 2, keeps 32):
// what a narrow branch loses adds up from block to block.
#include "qtool/branches.hpp"

#include <algorithm>

namespace qtool {
std::set<std::string> branched_values(const Sites& sites) {
  std::set<std::string> for_layers, for_others, members;  // the first two by owner
  for (const ActivationSite& site : sites.activations) {
    if (!site.layers.empty()) for_layers.insert(site.owner());
    if (site.branches) for_others.insert(site.owner());
  }
  for (const ActivationSite& site : sites.activations)
    if (for_layers.contains(site.owner()) && for_others.contains(site.owner()))
      members.insert(site.name);
  return members;
}

void join_branches(Sites& sites) {
  for (ActivationSite& site : sites.activations) site.branches = false;
}

void widen_branches(QuantPlan& plan, const Sites& sites) {
  const std::set<std::string> branched = branched_values(sites);
  for (const ActivationSite& site : sites.activations) {
    if (!site.layers.empty() || !branched.contains(site.name)) continue;
    int& bits = plan.activation_bits.at(site.name);
    bits = std::max(bits, kBranchBits);
  }
}

std::string read_by_layers(const std::string& value) { return value + "/read"; }

std::vector<const ActivationSite*> read_apart(const Sites& sites, const ActivationSite& owner) {
  std::vector<const ActivationSite*> members;
  bool branches = false;
  for (const ActivationSite& site : sites.activations) {
    if (site.owner() != owner.name) continue;
    branches |= site.branches;
    if (!site.layers.empty()) members.push_back(&site);
  }
  if (!branches) members.clear();
  return members;
}

Model split_branches(const Model& model, const Sites& sites) {
  Model m = model;
  Graph& g = m.graph;
  const std::set<std::string> branched = branched_values(sites);
  for (const ActivationSite& site : sites.activations) {
    const ValueId value = g.find(site.name);
    if (site.layers.empty() || !branched.contains(site.name) || value == ValueId::kNone) continue;
    const ValueId read =
        add_value(g, read_by_layers(site.name), g.value(value).dtype, g.value(value).shape);
    if (g.value(read).name != read_by_layers(site.name))
      throw_unsupported(cat("the model has a value '", printable(read_by_layers(site.name)),
                            "', which is what qtool calls what layers read of '",
                            printable(site.name), "': take --narrow-branches"));
    for (Node& node : g.nodes)
      if (site.layers.contains(node.name)) std::ranges::replace(node.inputs, value, read);
    g.nodes.push_back(make_node(g, read_by_layers(site.name), "Identity", {value}, {read}));
  }
  sort_nodes(g);
  verify(g);
  return m;
}

}  // namespace qtool
