// Activations whose quantizer alone makes a large share of all the noise at the outputs, found by halving: a
// raw waveform or a spectrum, whose quiet parts matter as much as the loud ones.
#include <algorithm>
#include <cmath>

#include "quantize/internal.hpp"

namespace qtool {
namespace {

using namespace qdq;

constexpr double kQuiet = 2e-4;  // times the share: relative noise power that needs no repair
constexpr double kRuins = 0.1;   // that even the only quantizer must not leave: 10 dB

class Search {
 public:
  Search(const Model& model, const Sites& sites, const ActivationParams& params,
         const SampleSource& source, int threads)
      : model_(model),
        sites_(sites),
        params_(params),
        float_(model, source, 0, source.chunk_count(), threads) {}

  // Of the values `owners` and all that share their parameters.
  double noise(std::span<const std::string> owners) const {
    ActivationParams chosen;
    for (const ActivationSite& site : sites_.activations) {
      const auto found = params_.find(site.name);
      if (found != params_.end() && std::ranges::find(owners, site.owner()) != owners.end())
        chosen.insert(*found);
    }
    return float_.distance(insert_qdq(model_, sites_, chosen, {}), Distance::kNoise);
  }

  // The one of `owners` that makes so much noise; empty: none does.
  std::string loudest(std::span<const std::string> owners, double least, double& alone) const {
    while (owners.size() > 1) {
      const auto half = owners.size() / 2;
      const double first = noise(owners.first(half)), second = noise(owners.subspan(half));
      if (!(std::max(first, second) >= least)) return "";
      owners = first > second ? owners.first(half) : owners.subspan(half);
      alone = std::max(first, second);
    }
    return owners.front();
  }

 private:
  const Model& model_;
  const Sites& sites_;
  const ActivationParams& params_;
  OutputReference float_;
};

}  // namespace

std::vector<LoudActivation> loud_activations(const Model& model, const Sites& sites,
                                             const QuantPlan& plan, const CalibrationTable& table,
                                             const SampleSource& source, int threads,
                                             double share) {
  const ActivationParams params = activation_params(sites, plan, table, threads);
  std::vector<std::string> owners;
  for (const ActivationSite& site : sites.activations)
    if (site.shares_with.empty() && params.contains(site.name)) owners.push_back(site.name);
  const Search search(model, sites, params, source, threads);
  std::vector<LoudActivation> loud;
  double all = owners.empty() ? 0 : search.noise(owners);
  while (all > (owners.size() > 1 ? kQuiet * share : kRuins)) {
    LoudActivation found;
    found.noise = all;
    found.name = search.loudest(owners, all * share, found.noise);
    if (found.name.empty()) break;
    std::erase(owners, found.name);
    found.rest = all = search.noise(owners);
    if (!(found.rest <= found.noise)) break;
    loud.push_back(std::move(found));
  }
  return loud;
}

}  // namespace qtool
