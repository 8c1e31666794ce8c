// Limits of a budget as rows of integer costs.
#include <algorithm>
#include <cmath>

#include "qtool/branches.hpp"
#include "qtool/memory.hpp"
#include "search/problem_builder.hpp"

namespace qtool::search {
namespace {

void check_measured(const DeviceProfile& profile, const std::string& fingerprint) {
  if (profile.layers.empty() || fingerprint.empty() || profile.model_fingerprint == fingerprint)
    return;
  throw Error(ErrorKind::kUsage, "QT-E118",
              cat("the profile '", printable(profile.name), "' was measured on another model"))
      .hint("measure this one with `qtool profile MODEL`");
}

// Of a layer at a width of its weights, with what it takes to compute in float between codes.
double layer_latency_ms(const DeviceProfile& profile, const Sites& sites, const LayerSite& site,
                        const Width& weights, const Width& input) {
  const double ms = profile.layer_ms(site, weights, input.bits);
  const bool converts = input.bits != kFloatBits && (weights.bits == kFloatBits || input.bits > 8 ||
                                                     input.mode != ActivationMode::kStatic);
  return converts ? ms + profile.conversion_ms(site, converted_elements(site, sites)) : ms;
}

}  // namespace

void ProblemBuilder::add_rows(int64_t limit, std::string name, const WeightCost& weight_cost,
                              const ActivationCost& activation_cost, const WeightCost& layer_cost) {
  std::set<std::string> free_weights, free_activations, free_layers;
  const auto cost_of_layers = [&](const std::vector<std::string>& layers, const Width& width) {
    int64_t sum = 0;
    for (const std::string& layer : layers)
      if (layer_cost) sum += layer_cost(*sites_.layer(layer), width);
    return sum;
  };
  std::vector<std::vector<int64_t>> rows;
  for (const Item& item : items_) {
    std::vector<int64_t> row(item.widths.size(), 0);
    for (size_t p = 0; p < item.parts.size(); ++p) {
      const Part& part = item.parts[p];
      const bool weights = part.kind == GroupKind::kWeights;
      const LayerSite* site = weights ? sites_.layer(part.names[0]) : nullptr;
      for (size_t c = 0; c < row.size(); ++c) {
        const Width& width = item.widths[c][p];
        // Filters are equally large, so that a layer's cost divides.
        row[c] += weights ? (weight_cost(*site, width) + cost_of_layers(part.names, width)) /
                                (part.filter < 0 ? 1 : site->channels)
                          : activation_cost(part.names[0], width.bits);
      }
      if (weights) {
        free_weights.insert(site->weight);
        free_layers.insert(part.names.begin(), part.names.end());
      } else {
        free_activations.insert(part.names[0]);
      }
    }
    rows.push_back(std::move(row));
  }
  std::set<std::string> counted = free_weights;
  for (const LayerSite& site : sites_.layers) {
    const LayerChoice* choice = plan_.layer(site.name);
    if (!choice) continue;
    const Width width(choice->weight_bits, choice->format);
    if (counted.insert(site.weight).second) limit -= weight_cost(site, width);
    if (!free_layers.contains(site.name)) limit -= cost_of_layers({site.name}, width);
  }
  for (const ActivationSite& site : sites_.activations) {
    if (site.shares_with.empty() && !free_activations.contains(site.name))
      limit -= activation_cost(site.name, plan_.activation_bits.at(site.name));
  }
  problem_.cost.push_back(std::move(rows));
  problem_.limit.push_back(limit);
  limit_names_.push_back(std::move(name));
}

// What every layer costs by itself, also where several share a weight.
void ProblemBuilder::add_work_rows(int64_t limit, std::string name, const WorkCost& cost) {
  std::vector<std::vector<int64_t>> rows;
  std::set<std::string> free;
  for (const Item& item : items_) {
    std::vector<int64_t> row(item.widths.size(), 0);
    for (size_t p = 0; p < item.parts.size(); ++p) {
      const Part& part = item.parts[p];
      if (part.kind != GroupKind::kWeights) continue;
      for (const std::string& layer : part.names) {
        const LayerSite& site = *sites_.layer(layer);
        for (size_t c = 0; c < row.size(); ++c)
          row[c] += cost(site, item.widths[c][p], input_width(item, c, site)) /
                    (part.filter < 0 ? 1 : site.channels);
        free.insert(layer);
      }
    }
    rows.push_back(std::move(row));
  }
  for (const LayerSite& site : sites_.layers) {
    const LayerChoice* choice = plan_.layer(site.name);
    if (choice && !free.contains(site.name))
      limit -= cost(site, {choice->weight_bits, choice->format}, plan_.input_bits(site));
  }
  problem_.cost.push_back(std::move(rows));
  problem_.limit.push_back(limit);
  limit_names_.push_back(std::move(name));
}

// Bits of an activation's elements and of those that share its parameters.
int64_t ProblemBuilder::read_bits(const std::string& name, int bits) const {
  int64_t total = 0;
  for (const ActivationSite& site : sites_.activations) {
    if (site.name != name && site.shares_with != name) continue;
    const bool wide = site.layers.empty() && branched_.contains(site.name);
    total += std::max<int64_t>(site.elements, 1) * (wide ? std::max(bits, kBranchBits) : bits);
  }
  return total;
}

int64_t ProblemBuilder::weights() const {
  int64_t total = 0;
  std::set<std::string> seen;
  for (const LayerSite& site : sites_.layers)
    if (plan_.layer(site.name) && seen.insert(site.weight).second) total += site.weights;
  return total;
}

// Bytes of everything that no layer's width changes, and of the whole float model.
int64_t ProblemBuilder::other_bytes(bool with_weights) const {
  std::set<std::string> layered;
  for (const LayerSite& site : sites_.layers)
    if (!with_weights && plan_.layer(site.name)) layered.insert(site.weight);
  int64_t total = 0;
  for (const StoredSite& site : sites_.stored) {
    const LayerChoice* choice = with_weights ? nullptr : plan_.stored_weight(site.name);
    if (choice && layered.insert(site.weight).second)
      total += stored_bits(site, *choice, model_, options_.storage) / 8;
  }
  for (const auto& [id, initializer] : model_.graph.initializers) {
    if (!layered.contains(model_.graph.value(id).name)) total += initializer.data.bytes();
  }
  return with_weights ? total : total + quantizer_bits(plan_, sites_, options_.storage) / 8;
}

void ProblemBuilder::add_limit(const Limit& limit) {
  const ActivationCost none = [](const std::string&, int) { return int64_t{0}; };
  const WeightCost no_weights = [](const LayerSite&, const Width&) { return int64_t{0}; };
  const auto floor64 = [](double v) { return static_cast<int64_t>(std::floor(v)); };
  switch (limit.kind) {
    case Limit::kBits:
      return add_rows(
          floor64(limit.value * static_cast<double>(weights())), limit_text(limit),
          [](const LayerSite& s, const Width& width) { return s.weights * width.bits; }, none);
    case Limit::kBpw:
      return add_stored(limit.value * static_cast<double>(weights()), limit);
    case Limit::kSize:
      return add_stored(8 * std::floor(limit.value), limit);
    case Limit::kSizeFraction:
      return add_stored(8 * std::floor(limit.value * static_cast<double>(other_bytes(true))),
                        limit);
    case Limit::kActivationBits: {
      require_static_activations(limit_text(limit));
      int64_t total = 0;
      for (const ActivationSite& site : sites_.activations)
        total += std::max<int64_t>(site.elements, 1);
      return add_rows(floor64(limit.value * static_cast<double>(total)), limit_text(limit),
                      no_weights,
                      [&](const std::string& name, int bits) { return read_bits(name, bits); });
    }
    case Limit::kBops:
      return add_bops(floor64(limit.value), limit_text(limit));
    case Limit::kBopsFraction: {
      double whole = 0;
      for (const LayerSite& site : sites_.layers)
        if (plan_.layer(site.name)) whole += 1024.0 * static_cast<double>(site.macs);
      return add_bops(floor64(limit.value * whole), limit_text(limit));
    }
    case Limit::kPeakMemory:
      require_static_activations(limit_text(limit));
      return add_peak(floor64(limit.value), limit_text(limit));
    case Limit::kLatency:
    case Limit::kLatencyFraction:
      return add_latency(limit);
    default:
      throw_internal(cat("the limit ", limit_text(limit), " is no sum of costs"));
  }
}

// Widths of filters that multiply with that of one input have too many combinations.
void ProblemBuilder::require_layers_or_fixed_activations() const {
  const bool searched = std::ranges::any_of(
      items_, [](const Item& item) { return item.parts[0].kind == GroupKind::kActivation; });
  if (!options_.per_filter || !searched) return;
  throw Error(ErrorKind::kUsage, "QT-E125",
              "bops and latency limits need fixed activation widths with --granularity filter")
      .hint("give --activations one width, or leave --granularity filter out");
}

// What has its range found at run time is float before and behind the layer that reads it, which counts otherwise.
void ProblemBuilder::require_static_activations(const std::string& what) const {
  for (const Item& item : items_) {
    if (std::ranges::any_of(item.widths, [](const std::vector<Width>& widths) {
          return std::ranges::any_of(
              widths, [](const Width& width) { return width.mode != ActivationMode::kStatic; });
        }))
      throw Error(ErrorKind::kUsage, "QT-E125",
                  cat("the limit ", what, " does not go with --activation-mode hybrid"))
          .hint("leave one of them out");
  }
}

// In picoseconds; each layer may be rounded up by one.
void ProblemBuilder::add_latency(const Limit& limit) {
  if (options_.per_filter) {
    throw Error(ErrorKind::kUsage, "QT-E125", "a latency limit needs widths of whole layers")
        .hint("leave --granularity filter out");
  }
  const DeviceProfile profile = load_profile(limit.profile);
  check_measured(profile, fingerprint_);
  constexpr double kPerMs = 1e9;
  const auto layers = static_cast<int64_t>(plan_.layers.size());
  double budget = limit.value;
  if (limit.kind == Limit::kLatencyFraction) {
    double whole = profile.other_ms(false);
    for (const LayerSite& site : sites_.layers)
      if (plan_.layer(site.name)) whole += profile.layer_ms(site, kFloatBits, kFloatBits);
    budget *= whole;
  }
  add_work_rows(
      static_cast<int64_t>(std::floor((budget - profile.other_ms(true)) * kPerMs)) + layers,
      limit_text(limit), [&](const LayerSite& site, const Width& weights, const Width& input) {
        return static_cast<int64_t>(
            std::ceil(layer_latency_ms(profile, sites_, site, weights, input) * kPerMs));
      });
}

// A maximum is as many limits as it has arguments.
void ProblemBuilder::add_peak(int64_t limit_bytes, const std::string& name) {
  const std::vector<LiveSet> sets = live_sets(model_, sites_);
  if (std::all_of(sets.begin(), sets.end(),
                  [](const LiveSet& set) { return set.elements.empty(); })) {
    throw Error(ErrorKind::kUsage, "QT-E125",
                cat("the limit ", name, " needs the shapes of the network's values"))
        .hint("fix the model's input dimensions but the batch");
  }
  const WeightCost no_weights = [](const LayerSite&, const Width&) { return int64_t{0}; };
  for (const LiveSet& set : sets) {
    std::map<std::string, std::vector<std::string>> owned;
    for (const auto& [value, count] : set.elements) owned[sites_.owner_of(value)].push_back(value);
    add_rows(8 * limit_bytes - 32 * set.float_elements, cat(name, " at ", printable(set.node)),
             no_weights, [&](const std::string& value, int bits) {
               int64_t total = 0;
               if (const auto at = owned.find(value); at != owned.end())
                 for (const std::string& name : at->second)
                   total += set.elements.at(name) * set.stored_bits(name, bits);
               return total;
             });
  }
}

void ProblemBuilder::add_bops(int64_t limit, std::string name) {
  add_work_rows(limit, std::move(name),
                [](const LayerSite& s, const Width& weights, const Width& input) {
                  return s.macs * weights.bits * input.bits;
                });
}

}  // namespace qtool::search

namespace qtool {

int64_t converted_elements(const LayerSite& site, const Sites& sites) {
  int64_t elements = 0;
  for (const std::string& value : {site.input, site.output})
    if (const ActivationSite* activation = sites.activation(value))
      elements += activation->elements;
  return elements;
}

double predicted_latency_ms(const QuantPlan& plan, const Sites& sites,
                            const DeviceProfile& profile) {
  search::check_measured(profile, plan.model_fingerprint);
  double ms = 0;
  bool any_integer = false;
  for (const LayerChoice& layer : plan.layers) {
    const LayerSite& site = *sites.layer(layer.name);
    any_integer |= layer.weight_bits != kFloatBits && plan.input_bits(site) != kFloatBits;
    ms += search::layer_latency_ms(profile, sites, site, {layer.weight_bits, layer.format},
                                   {plan.input_bits(site), "uniform", layer.mode});
  }
  return ms + profile.other_ms(any_integer);
}

}  // namespace qtool
