#include "search/problem_builder.hpp"

#include <algorithm>
#include <cmath>

namespace qtool::search {
namespace {

double importance_of(const GroupScore& group, int64_t filter) {
  const std::vector<double>& all = group.importance;
  if (all.empty()) return std::numeric_limits<double>::quiet_NaN();
  if (filter >= 0) return all[static_cast<size_t>(filter)];
  double sum = 0;
  for (double i : all) sum += i;
  return sum / static_cast<double>(all.size());
}

[[noreturn]] void throw_not_in_model(const GroupScore& group) {
  throw Error(ErrorKind::kUsage, "QT-E131",
              cat("scores name '", printable(group.name), "', which is not in the model"));
}

}  // namespace

ProblemBuilder::ProblemBuilder(const Model& model, const Sites& sites, const ScoreTable& scores,
                               const AssignOptions& options)
    : fingerprint_(scores.model_fingerprint),
      model_(model),
      sites_(sites),
      options_(options),
      plan_(uniform_plan(sites, {8, options.activation_bits}, options.keep)) {
  for (const GroupScore& group : scores.groups) add(group);
  const bool ranked = std::none_of(items_.begin(), items_.end(),
                                   [](const Item& item) { return std::isnan(item.importance); });
  const bool interact = std::any_of(items_.begin(), items_.end(),
                                    [](const Item& item) { return !item.error.empty(); });
  forbid_modes();
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

// Widths that the device has no kernel for, whatever the other operand may be.
void ProblemBuilder::forbid() {
  const DeviceProfile& profile = *options_.profile;
  std::map<std::string, std::vector<Width>> weights,
      inputs;  // by layer, by value: what is chosen from
  for (const Item& item : items_) {
    for (const std::string& name : item.names)
      (item.kind == GroupKind::kWeights ? weights : inputs)[name] = item.widths;
  }
  const auto any = [&](const LayerSite& site, const std::vector<Width>& w,
                       const std::vector<Width>& a) {
    return std::ranges::any_of(w, [&](const Width& of_weight) {
      return std::ranges::any_of(a, [&](const Width& of_input) {
        return profile.allows(site.type, of_weight, of_input.bits);
      });
    });
  };
  const auto inputs_of = [&](const LayerSite& site) {
    const auto at = inputs.find(site.input);
    return at != inputs.end() && site.float_input.empty()
               ? at->second
               : std::vector<Width>{plan_.input_bits(site)};
  };
  for (Item& item : items_) {
    for (size_t c = 0; c < item.widths.size(); ++c) {
      bool allowed = true;
      if (item.kind == GroupKind::kWeights) {
        for (const std::string& name : item.names) {
          const LayerSite& site = *sites_.layer(name);
          allowed &= any(site, {item.widths[c]}, inputs_of(site));
        }
      }
      for (const LayerSite& site : sites_.layers) {
        if (item.kind == GroupKind::kActivation && site.input == item.names[0] &&
            site.float_input.empty() && weights.contains(site.name))
          allowed &= any(site, weights.at(site.name), {item.widths[c]});
      }
      if (!allowed) item.loss[c] = std::numeric_limits<double>::infinity();
    }
  }
}

QuantPlan ProblemBuilder::plan(const std::vector<int>& choice) const {
  QuantPlan plan = plan_;
  for (size_t i = 0; i < items_.size(); ++i) {
    const Width& width = items_[i].widths[static_cast<size_t>(choice[i])];
    for (const std::string& name : items_[i].names) {
      if (items_[i].kind == GroupKind::kWeights)
        set_width(*plan.layer(name), items_[i], width);
      else
        set_activation(plan, name, width);
    }
  }
  for (LayerChoice& layer : plan.layers) {
    layer.activation_bits = plan.input_bits(*sites_.layer(layer.name));
    layer.method = options_.method;
  }
  settle_activation_modes(plan, sites_, model_);
  plan.source = options_.source;
  plan.power_of_two_scales = options_.power_of_two_scales;
  return plan;
}

void ProblemBuilder::set_width(LayerChoice& layer, const Item& item, const Width& width) const {
  if (item.filter < 0) {
    layer.weight_bits = width.bits;
    layer.format = width.format;
    layer.scale.block = parse_format(width.format).def->scale_block;
    return;
  }
  if (layer.filter_bits.empty()) {
    layer.filter_bits.resize(static_cast<size_t>(sites_.layer(layer.name)->channels));
    layer.weight_bits = 0;
  }
  layer.filter_bits[static_cast<size_t>(item.filter)] = width.bits;
  layer.weight_bits = std::max(layer.weight_bits, width.bits);
}

void ProblemBuilder::set_activation(QuantPlan& plan, const std::string& name,
                                    const Width& width) const {
  plan.activation_bits[name] = width.bits;
  for (const ActivationSite& site : sites_.activations)
    if (site.shares_with == name) plan.activation_bits[site.name] = width.bits;
  if (width.mode == ActivationMode::kStatic) return;
  for (const LayerSite* site : readers(name)) {
    plan.layer(site->name)->mode = width.mode;
    plan.layer(site->name)->activation_bits = width.bits;
  }
}

std::vector<const LayerSite*> ProblemBuilder::readers(const std::string& activation) const {
  std::vector<const LayerSite*> layers;
  for (const LayerSite& site : sites_.layers) {
    const ActivationSite* input = sites_.activation(site.input);
    if (input && site.float_input.empty() && plan_.layer(site.name) &&
        (input->name == activation || input->shares_with == activation))
      layers.push_back(&site);
  }
  return layers;
}

// Ranges are found at run time by layers alone, and only by those that can.
void ProblemBuilder::forbid_modes() {
  std::map<std::string, const Item*> weights;  // by layer
  for (const Item& item : items_)
    for (const std::string& name : item.names)
      if (item.kind == GroupKind::kWeights) weights[name] = &item;
  const auto can = [&](const LayerSite& site, ActivationMode mode) {
    const auto at = weights.find(site.name);
    if (at == weights.end()) return false;  // kept as it is
    return std::ranges::all_of(at->second->widths, [&](const Width& width) {
      LayerChoice choice = layer_choice(site.name, width);
      choice.mode = mode;
      return width.bits == kFloatBits || why_not_dynamic(model_, site, choice).empty();
    });
  };
  for (Item& item : items_) {
    for (size_t c = 0; c < item.widths.size() && item.kind == GroupKind::kActivation; ++c) {
      const ActivationMode mode = item.widths[c].mode;
      if (mode == ActivationMode::kStatic) continue;
      const std::vector<const LayerSite*> layers = readers(item.names[0]);
      if (layers.empty() ||
          !std::ranges::all_of(layers, [&](const LayerSite* site) { return can(*site, mode); }))
        item.loss[c] = std::numeric_limits<double>::infinity();
    }
  }
}

bool ProblemBuilder::is_kept(const std::string& layer) const {
  const LayerChoice* choice = plan_.layer(layer);
  return !choice || !choice->reason.empty();
}

void ProblemBuilder::add_activation(const GroupScore& group) {
  if (!sites_.activation(group.name)) throw_not_in_model(group);
  for (const LayerSite& site : sites_.layers)
    if (site.input == group.name && site.reason.empty() && is_kept(site.name)) return;
  items_.push_back({.kind = group.kind,
                    .names = {group.name},
                    .widths = group.widths,
                    .loss = group.noise,
                    .error = group.error});
}

void ProblemBuilder::add_item(const GroupScore& group, int64_t filter,
                              const std::vector<double>& loss) {
  items_.push_back({.kind = group.kind,
                    .names = {group.name},
                    .widths = group.widths,
                    .loss = loss,
                    .filter = filter,
                    .importance = importance_of(group, filter),
                    .error = filter < 0 ? group.error : std::vector<std::vector<float>>{}});
}

// One weight, one width: prices add up.
void ProblemBuilder::merge(const GroupScore& group, const std::vector<double>& loss,
                           Item& item) const {
  for (size_t c = 0; c < item.loss.size(); ++c) {
    item.loss[c] += loss[c];
    if (item.error.empty() || group.error.empty()) continue;
    for (size_t d = 0; d < item.error[c].size(); ++d) item.error[c][d] += group.error[c][d];
  }
  item.names.push_back(group.name);
}

void ProblemBuilder::add(const GroupScore& group) {
  if (group.kind == GroupKind::kActivation) return add_activation(group);
  const LayerSite* site = sites_.layer(group.name);
  if (!site) throw_not_in_model(group);
  if (is_kept(group.name)) return;
  std::vector<std::vector<double>> losses = {group.noise};
  if (options_.per_filter) losses = filter_losses(group, *site);
  const auto [first, fresh] = first_item_.emplace(site->weight, items_.size());
  for (size_t f = 0; f < losses.size(); ++f) {
    if (fresh)
      add_item(group, options_.per_filter ? static_cast<int64_t>(f) : -1, losses[f]);
    else
      merge(group, losses[f], items_[first->second + f]);
  }
}

std::vector<std::vector<double>> ProblemBuilder::filter_losses(const GroupScore& group,
                                                               const LayerSite& site) const {
  if (static_cast<int64_t>(group.filter_noise.size()) != site.channels) {
    throw Error(ErrorKind::kUsage, "QT-E139",
                cat("the scores of '", printable(group.name), "' do not price its filters"))
        .hint("take another --score, or --granularity layer");
  }
  std::vector<std::vector<double>> losses = group.filter_noise;
  for (size_t c = 0; c < group.widths.size(); ++c) {
    if (group.widths[c].bits != kFloatBits) continue;  // a layer is float as a whole
    for (auto& row : losses) row[c] = std::numeric_limits<double>::infinity();
  }
  return losses;
}

}  // namespace qtool::search
