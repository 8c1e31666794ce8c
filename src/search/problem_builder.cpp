#include "search/problem_builder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "qtool/branches.hpp"

namespace qtool::search {
namespace {

// A product of widths is no sum of what each of them costs.
bool multiplies_widths(const Limit& limit) {
  return limit.kind == Limit::kBops || limit.kind == Limit::kBopsFraction ||
         limit.kind == Limit::kLatency || limit.kind == Limit::kLatencyFraction;
}

}  // namespace

ProblemBuilder::ProblemBuilder(const Model& model, const Sites& sites, const ScoreTable& scores,
                               const AssignOptions& options)
    : fingerprint_(scores.model_fingerprint),
      model_(model),
      sites_(sites),
      branched_(branched_values(sites)),
      options_(options),
      plan_(uniform_plan(sites, {8, options.activation_bits}, options.keep)),
      items_(make_items(sites, scores, plan_, options.per_filter)) {
  plan_.style = options.style;
  if (std::ranges::any_of(options.limits, multiplies_widths)) require_layers_or_fixed_activations();
  forbid_modes();
  if (!options.per_filter) {
    items_ =
        join_items(std::move(items_), sites, [this](const auto&... of) { return coupled(of...); });
  }
  const bool ranked = std::none_of(items_.begin(), items_.end(),
                                   [](const Item& item) { return std::isnan(item.importance); });
  const bool interact = std::any_of(items_.begin(), items_.end(),
                                    [](const Item& item) { return !item.error.empty(); });
  if (options.profile) forbid();
  for (const Item& item : items_) {
    problem_.loss.push_back(item.loss);
    if (options.price_exponent != 1) {
      for (double& loss : problem_.loss.back())
        if (std::isfinite(loss)) loss = std::pow(std::max(loss, 0.0), options.price_exponent);
    }
    if (ranked) problem_.importance.push_back(item.importance);
    if (interact) problem_.error.push_back(item.error);
  }
  if (options.quality) {
    problem_.quality = [this](const std::vector<int>& choice) {
      return options_.quality(plan(choice));
    };
  }
  for (const Limit& limit : options.limits) add_limit(limit);
}

bool ProblemBuilder::coupled(const LayerSite& site, const std::vector<Width>& weights,
                             const std::vector<Width>& inputs) const {
  if (std::ranges::any_of(options_.limits, multiplies_widths)) return true;
  if (!options_.profile) return false;
  // Widths that the device takes in some pair, but not in every one.
  const auto allows = [&](const Width& w, const Width& a) {
    return options_.profile->allows(site.type, w, a.bits);
  };
  for (const Width& w : weights) {
    for (const Width& a : inputs) {
      if (!allows(w, a) &&
          std::ranges::any_of(inputs, [&](const Width& other) { return allows(w, other); }) &&
          std::ranges::any_of(weights, [&](const Width& other) { return allows(other, a); }))
        return true;
    }
  }
  return false;
}

Width ProblemBuilder::input_width(const Item& item, size_t choice, const LayerSite& site) const {
  for (size_t p = 0; p < item.parts.size() && site.float_input.empty(); ++p) {
    if (item.parts[p].kind == GroupKind::kActivation &&
        item.parts[p].names[0] == sites_.owner_of(site.input))
      return item.widths[choice][p];
  }
  return plan_.input_bits(site);
}

// Pairs of widths that the device has no kernel for. Where a layer and what it reads are chosen apart, an input's
// width stays when some width of the weights goes with it, and the weights' when it goes with all of those.
void ProblemBuilder::forbid() {
  const DeviceProfile& profile = *options_.profile;
  constexpr double kForbidden = std::numeric_limits<double>::infinity();
  std::map<std::string, Item*> inputs;  // chosen apart from the layers that read them
  for (Item& item : items_)
    if (item.parts.size() == 1 && item.parts[0].kind == GroupKind::kActivation)
      inputs[item.parts[0].names[0]] = &item;
  const auto input_of = [&](const LayerSite& site) {
    const auto at = inputs.find(sites_.owner_of(site.input));
    return at != inputs.end() && site.float_input.empty() ? at->second : nullptr;
  };
  const auto for_layers = [&](const auto& visit) {
    for (Item& item : items_)
      for (size_t p = 0; p < item.parts.size(); ++p)
        for (const std::string& name : item.parts[p].names)
          if (item.parts[p].kind == GroupKind::kWeights) visit(item, p, *sites_.layer(name));
  };
  for_layers([&](Item& item, size_t p, const LayerSite& site) {
    Item* input = input_of(site);
    for (size_t a = 0; input && a < input->widths.size(); ++a) {
      if (std::ranges::none_of(item.widths, [&](const std::vector<Width>& widths) {
            return profile.allows(site.type, widths[p], input->widths[a][0].bits);
          }))
        input->loss[a] = kForbidden;
    }
  });
  for_layers([&](Item& item, size_t p, const LayerSite& site) {
    const Item* input = input_of(site);
    for (size_t c = 0; c < item.widths.size(); ++c) {
      bool allowed =
          input || profile.allows(site.type, item.widths[c][p], input_width(item, c, site).bits);
      for (size_t a = 0; input && a < input->widths.size(); ++a)
        allowed &= input->loss[a] == kForbidden ||
                   profile.allows(site.type, item.widths[c][p], input->widths[a][0].bits);
      if (!allowed) item.loss[c] = kForbidden;
    }
  });
}

double ProblemBuilder::loss(const std::vector<int>& choice) const {
  double sum = 0;
  for (size_t i = 0; i < items_.size(); ++i) sum += items_[i].loss[static_cast<size_t>(choice[i])];
  return sum;
}

QuantPlan ProblemBuilder::plan(const std::vector<int>& choice) const {
  QuantPlan plan = plan_;
  for (size_t i = 0; i < items_.size(); ++i) {
    const std::vector<Width>& widths = items_[i].widths[static_cast<size_t>(choice[i])];
    for (size_t p = 0; p < items_[i].parts.size(); ++p) {
      const Part& part = items_[i].parts[p];
      for (const std::string& name : part.names) {
        if (part.kind == GroupKind::kWeights)
          set_width(*plan.layer(name), part, widths[p]);
        else
          set_activation(plan, name, widths[p]);
      }
    }
  }
  for (LayerChoice& layer : plan.layers) {
    layer.activation_bits = plan.input_bits(*sites_.layer(layer.name));
    layer.method = options_.method;
  }
  widen_branches(plan, sites_);
  settle_activation_modes(plan, sites_, model_);
  plan.source = options_.source;
  return plan;
}

void ProblemBuilder::set_width(LayerChoice& layer, const Part& part, const Width& width) const {
  if (part.filter < 0) {
    layer.weight_bits = width.bits;
    layer.format = width.format;
    layer.scale.block = parse_format(width.format).def->scale_block;
    return;
  }
  if (layer.filter_bits.empty()) {
    layer.filter_bits.resize(static_cast<size_t>(sites_.layer(layer.name)->channels));
    layer.weight_bits = 0;
  }
  layer.filter_bits[static_cast<size_t>(part.filter)] = width.bits;
  layer.weight_bits = std::max(layer.weight_bits, width.bits);
}

void ProblemBuilder::set_activation(QuantPlan& plan, const std::string& name,
                                    const Width& width) const {
  set_activation_bits(plan, sites_, name, width.bits);
  if (width.mode == ActivationMode::kStatic) return;
  for (const LayerSite* site : readers(name)) {
    plan.layer(site->name)->mode = width.mode;
    plan.layer(site->name)->activation_bits = width.bits;
  }
}

std::vector<const LayerSite*> ProblemBuilder::readers(const std::string& activation) const {
  std::vector<const LayerSite*> layers;
  for (const LayerSite& site : sites_.layers) {
    if (site.float_input.empty() && plan_.layer(site.name) &&
        sites_.owner_of(site.input) == activation)
      layers.push_back(&site);
  }
  return layers;
}

// Ranges are found at run time by layers alone, and only by those that can.
void ProblemBuilder::forbid_modes() {
  std::map<std::string, const Item*> weights;  // by layer
  for (const Item& item : items_)
    for (const std::string& name : item.parts[0].names)
      if (item.parts[0].kind == GroupKind::kWeights) weights[name] = &item;
  const auto can = [&](const LayerSite& site, ActivationMode mode) {
    const auto at = weights.find(site.name);
    if (at == weights.end()) return false;  // kept as it is
    return std::ranges::all_of(widths_of(*at->second), [&](const Width& width) {
      LayerChoice choice = layer_choice(site.name, width);
      choice.mode = mode;
      return width.bits == kFloatBits || why_not_dynamic(model_, site, choice).empty();
    });
  };
  for (Item& item : items_) {
    for (size_t c = 0; c < item.widths.size() && item.parts[0].kind == GroupKind::kActivation;
         ++c) {
      const ActivationMode mode = item.widths[c][0].mode;
      if (mode == ActivationMode::kStatic) continue;
      const std::vector<const LayerSite*> layers = readers(item.parts[0].names[0]);
      if (layers.empty() ||
          !std::ranges::all_of(layers, [&](const LayerSite* site) { return can(*site, mode); }))
        item.loss[c] = std::numeric_limits<double>::infinity();
    }
  }
}

}  // namespace qtool::search
