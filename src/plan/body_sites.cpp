#include "plan/body_sites.hpp"

#include <algorithm>

#include "graph/subgraphs.hpp"
#include "plan/stored_sites.hpp"

namespace qtool {
namespace {

constexpr const char* kUnreached = "no calibration sample reaches it";

// Codes only as they are stored: nothing is known of what the layer reads.
StoredSite stored(const LayerSite& layer) {
  StoredSite site;
  static_cast<LayerSite&>(site) = layer;
  site.node = layer.inside;
  site.input.clear();
  site.float_input = site.cost = kUnreached;
  return site;
}

void leave_in_float(Sites& sites) {
  for (const LayerSite& layer : sites.layers) sites.stored.push_back(stored(layer));
  for (NodeSite& node : sites.nodes)
    if (node.reason.empty()) node.reason = kUnreached;
  sites.layers.clear();
  sites.activations.clear();
}

template <typename T>
void append(std::vector<T>& to, std::vector<T>& from) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

class Bodies {
 public:
  Bodies(const Target& target, const std::set<std::string>& unreached, Sites& all)
      : target_(target), unreached_(unreached), all_(all) {}

  // `inside`: of the main graph, the node that carries all this; empty: it is the main graph.
  void add(const Model& model, const std::string& inside) {
    visit_bodies(model, [&](const Model& body, const Node& of) {
      const std::string& holder = inside.empty() ? of.name : inside;
      const std::vector<std::string> names = captured_names(of);
      Sites sites = plan::sites_of_graph(body, target_, {names.begin(), names.end()});
      for (LayerSite& layer : sites.layers) layer.inside = holder;
      const bool reached = sites.activations.empty() ||
                           std::ranges::any_of(sites.activations, [&](const ActivationSite& site) {
                             return !unreached_.contains(site.name);
                           });
      if (!reached) leave_in_float(sites);
      append(all_.layers, sites.layers);
      append(all_.activations, sites.activations);
      append(all_.nodes, sites.nodes);
      append(all_.stored, sites.stored);
      add(body, holder);
    });
  }

 private:
  const Target& target_;
  const std::set<std::string>& unreached_;
  Sites& all_;
};

}  // namespace

Sites find_sites(const Model& model, const Target& target, const std::set<std::string>& unreached) {
  Sites sites = plan::sites_of_graph(model, target);
  Bodies(target, unreached, sites).add(model, "");
  std::map<std::string, size_t> place;
  for (const Node& node : model.graph.nodes) place.emplace(node.name, place.size());
  std::ranges::stable_sort(sites.layers, {}, [&](const LayerSite& layer) {
    return place.at(layer.inside.empty() ? layer.name : layer.inside);
  });
  std::vector<LayerSite> named = sites.layers;
  named.insert(named.end(), sites.stored.begin(), sites.stored.end());
  std::vector<StoredSite> others = plan::find_stored(model, named);
  append(sites.stored, others);
  std::erase_if(sites.nodes, [&](const NodeSite& node) { return sites.stored_rows(node.name); });
  return sites;
}

}  // namespace qtool
