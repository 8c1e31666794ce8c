#include "search/problem_builder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "search/choice_of.hpp"

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
      options_(options),
      plan_(uniform_plan(sites, {8, options.activation_bits}, options.keep)),
      items_(make_items(sites, scores, plan_, options.per_filter)) {
  plan_.style = options.style;
  if (std::ranges::any_of(options.limits, multiplies_widths)) require_layers_or_fixed_activations();
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

bool ProblemBuilder::coupled(const LayerSite& site, const std::vector<int>& weights,
                             const std::vector<int>& inputs) const {
  if (std::ranges::any_of(options_.limits, multiplies_widths)) return true;
  if (!options_.profile) return false;
  // Widths that the device takes in some pair, but not in every one.
  const auto allows = [&](int w, int a) { return options_.profile->allows(site.type, w, a); };
  for (int w : weights) {
    for (int a : inputs) {
      if (!allows(w, a) &&
          std::ranges::any_of(inputs, [&](int other) { return allows(w, other); }) &&
          std::ranges::any_of(weights, [&](int other) { return allows(other, a); }))
        return true;
    }
  }
  return false;
}

int ProblemBuilder::input_bits(const Item& item, size_t choice, const LayerSite& site) const {
  for (size_t p = 0; p < item.parts.size() && site.float_input.empty(); ++p) {
    if (item.parts[p].kind == GroupKind::kActivation &&
        item.parts[p].names[0] == owner_of(sites_, site.input))
      return item.bits[choice][p];
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
    const auto at = inputs.find(owner_of(sites_, site.input));
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
    for (size_t a = 0; input && a < input->bits.size(); ++a) {
      if (std::ranges::none_of(item.bits, [&](const std::vector<int>& bits) {
            return profile.allows(site.type, bits[p], input->bits[a][0]);
          }))
        input->loss[a] = kForbidden;
    }
  });
  for_layers([&](Item& item, size_t p, const LayerSite& site) {
    const Item* input = input_of(site);
    for (size_t c = 0; c < item.bits.size(); ++c) {
      bool allowed = input || profile.allows(site.type, item.bits[c][p], input_bits(item, c, site));
      for (size_t a = 0; input && a < input->bits.size(); ++a)
        allowed &= input->loss[a] == kForbidden ||
                   profile.allows(site.type, item.bits[c][p], input->bits[a][0]);
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
    const std::vector<int>& bits = items_[i].bits[static_cast<size_t>(choice[i])];
    for (size_t p = 0; p < items_[i].parts.size(); ++p) {
      const Part& part = items_[i].parts[p];
      for (const std::string& name : part.names) {
        if (part.kind == GroupKind::kWeights)
          set_width(*plan.layer(name), part, bits[p]);
        else
          set_activation(plan, name, bits[p]);
      }
    }
  }
  for (LayerChoice& layer : plan.layers) {
    layer.activation_bits = plan.input_bits(*sites_.layer(layer.name));
    layer.method = options_.method;
    if (layer.reason.empty() && layer.filter_bits.empty())
      layer.format = choice_of(*sites_.layer(layer.name), layer.weight_bits, options_).format;
    layer.scale_block = parse_format(layer.format).def->scale_block;
  }
  plan.source = options_.source;
  return plan;
}

void ProblemBuilder::set_width(LayerChoice& layer, const Part& part, int bits) const {
  if (part.filter < 0) {
    layer.weight_bits = bits;
    return;
  }
  if (layer.filter_bits.empty()) {
    layer.filter_bits.resize(static_cast<size_t>(sites_.layer(layer.name)->channels));
    layer.weight_bits = 0;
  }
  layer.filter_bits[static_cast<size_t>(part.filter)] = bits;
  layer.weight_bits = std::max(layer.weight_bits, bits);
}

void ProblemBuilder::set_activation(QuantPlan& plan, const std::string& name, int bits) const {
  plan.activation_bits[name] = bits;
  for (const ActivationSite& site : sites_.activations)
    if (site.shares_with == name) plan.activation_bits[site.name] = bits;
}

}  // namespace qtool::search
