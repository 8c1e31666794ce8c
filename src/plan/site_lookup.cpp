// Sites by the names of what they are for.
#include <algorithm>

#include "qtool/plan.hpp"

namespace qtool {

const LayerSite* Sites::layer(const std::string& name) const {
  auto it = std::find_if(layers.begin(), layers.end(),
                         [&](const LayerSite& l) { return l.name == name; });
  return it == layers.end() ? nullptr : &*it;
}

const StoredSite* Sites::stored_weight(const std::string& name) const {
  auto it = std::find_if(stored.begin(), stored.end(),
                         [&](const StoredSite& s) { return s.name == name; });
  return it == stored.end() ? nullptr : &*it;
}

bool Sites::stored_rows(const std::string& node) const {
  return std::ranges::any_of(stored,
                             [&](const StoredSite& s) { return s.node == node && s.picks_rows; });
}

const ActivationSite* Sites::activation(const std::string& name) const {
  auto it = std::find_if(activations.begin(), activations.end(),
                         [&](const ActivationSite& a) { return a.name == name; });
  return it == activations.end() ? nullptr : &*it;
}

const std::string& Sites::owner_of(const std::string& activation) const {
  const ActivationSite* site = this->activation(activation);
  return site ? site->owner() : activation;
}

std::vector<std::string> Sites::activation_names() const {
  std::vector<std::string> names;
  for (const ActivationSite& site : activations) names.push_back(site.name);
  return names;
}

}  // namespace qtool
