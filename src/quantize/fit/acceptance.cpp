#include "quantize/fit/acceptance.hpp"

namespace qtool::qdq {
namespace {

class Halving {
 public:
  Halving(const Candidate& proposal, const std::function<double(const Candidate&)>& distance,
          int trials, Candidate& now, double& least)
      : proposal_(proposal), distance_(distance), trials_(trials), now_(now), least_(least) {}

  void take(std::span<const Unit> units) {
    if (units.empty() || trials_ == 0) return;
    --trials_;
    Candidate next = now_;
    for (const Unit& unit : units) {
      for (const std::string& name : unit) {
        if (const auto layer = proposal_.layers.find(name); layer != proposal_.layers.end())
          next.layers[name] = layer->second;
        if (const auto p = proposal_.activations.find(name); p != proposal_.activations.end())
          next.activations[name] = p->second;
      }
    }
    const double distance = distance_(next);
    if (distance < least_) {
      least_ = distance;
      now_ = std::move(next);
      for (const Unit& unit : units) taken.insert(unit.begin(), unit.end());
    } else if (units.size() > 1) {
      take(units.first(units.size() / 2));
      take(units.subspan(units.size() / 2));
    }
  }

  std::set<std::string> taken;

 private:
  const Candidate& proposal_;
  const std::function<double(const Candidate&)>& distance_;
  int trials_;
  Candidate& now_;
  double& least_;
};

// Names in order, those with the same key together.
template <typename List, typename Has, typename Key>
std::vector<Unit> together(const List& list, Has has, Key key) {
  std::vector<Unit> units;
  std::map<std::string, size_t> at;
  for (const auto& site : list) {
    if (!has(site)) continue;
    const auto [it, fresh] = at.emplace(key(site), units.size());
    if (fresh) units.emplace_back();
    units[it->second].push_back(site.name);
  }
  return units;
}

}  // namespace

std::vector<Unit> layer_units(const Sites& sites, const LayerResults& layers) {
  return together(
      sites.layers, [&](const LayerSite& site) { return layers.contains(site.name); },
      [](const LayerSite& site) { return site.weight; });
}

std::vector<Unit> activation_units(const Sites& sites, const ActivationParams& activations) {
  return together(
      sites.activations,
      [&](const ActivationSite& site) { return activations.contains(site.name); },
      [](const ActivationSite& site) { return site.owner(); });
}

std::set<std::string> accept(const Candidate& proposal, const std::vector<Unit>& units,
                             const std::function<double(const Candidate&)>& distance, int trials,
                             Candidate& now, double& least) {
  Halving halving(proposal, distance, trials, now, least);
  halving.take(units);
  return std::move(halving.taken);
}

}  // namespace qtool::qdq
