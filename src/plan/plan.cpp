#include "qtool/plan.hpp"

#include <algorithm>
#include <cmath>

#include "qtool/branches.hpp"
#include "qtool/budget.hpp"

namespace qtool {

double mean_bits(const LayerChoice& choice) {
  if (choice.filter_bits.empty()) return choice.weight_bits;
  double sum = 0;
  for (int bits : choice.filter_bits) sum += bits;
  return sum / static_cast<double>(choice.filter_bits.size());
}

std::vector<Width> widths_in(const std::vector<std::string>& formats,
                             const std::vector<int>& bits) {
  std::vector<Width> widths;
  for (int width : bits) {
    if (width == kFloatBits) {
      widths.emplace_back(width);
      continue;
    }
    for (const std::string& format : formats) {
      // Filters may be pruned to 0 bits, whose codes are all zero.
      if (has_bits(parse_format(format), width) || (width == 0 && format == "uniform"))
        widths.emplace_back(width, format);
    }
  }
  return widths;
}

LayerChoice layer_choice(const std::string& layer, const Width& width, std::string method) {
  LayerChoice choice{.name = layer, .weight_bits = width.bits};
  choice.format = width.format;
  choice.scale.block = parse_format(width.format).def->scale_block;
  choice.method = std::move(method);
  return choice;
}

namespace {

// The choice that `keep` gives to a layer; nullptr when none matches. Later rules win.
const UniformChoice* kept(const Sites& sites, const LayerSite& layer,
                          const std::vector<Keep>& keep) {
  const UniformChoice* found = nullptr;
  for (const auto& [pattern, choice] : keep) {
    bool match = false;
    if (pattern == "first" || pattern == "last") {
      const auto quantizable = [](const LayerSite& l) { return l.reason.empty(); };
      const auto first = std::find_if(sites.layers.begin(), sites.layers.end(), quantizable);
      const auto last = std::find_if(sites.layers.rbegin(), sites.layers.rend(), quantizable);
      match = first != sites.layers.end() &&
              layer.name == (pattern == "first" ? first->name : last->name);
    } else {
      match = name_matches(pattern, layer.name);
    }
    if (match) found = &choice;
  }
  return found;
}

// Fewer bits take more from a table than from a layer, whose errors average out.
constexpr int kLeastStoredBits = 4;

std::vector<LayerChoice> stored_choices(const Sites& sites, UniformChoice choice,
                                        const std::vector<Keep>& keep) {
  std::vector<LayerChoice> choices;
  for (const StoredSite& site : sites.stored) {
    if (!site.reason.empty()) continue;
    LayerChoice stored{
        .name = site.name, .weight_bits = choice.weight_bits, .activation_bits = kFloatBits};
    if (choice.activation_bits != kFloatBits && !site.cost.empty()) {
      stored.weight_bits = kFloatBits;
      stored.reason =
          cat(site.cost, "; weight-only plans have it in codes, and --keep NAME=w8 does");
    }
    if (const UniformChoice* k = kept(sites, site, keep)) {
      stored.weight_bits = k->weight_bits;
      stored.reason = "kept by --keep";
    }
    stored.weight_bits = std::max(stored.weight_bits, kLeastStoredBits);
    choices.push_back(std::move(stored));
  }
  return choices;
}

// Values that share parameters share a width: the widest that a layer among their readers wants.
void share_widths(const Sites& sites, QuantPlan& plan, int wide) {
  std::map<std::string, int> width;  // by owner; absent: no layer reads any of them
  for (const LayerChoice& layer : plan.layers) {
    const LayerSite& site = *sites.layer(layer.name);
    const ActivationSite* input = sites.activation(site.input);
    if (!input || !site.float_input.empty()) continue;
    int& bits = width.try_emplace(input->owner(), 0).first->second;
    bits = std::max(bits, plan.activation_bits.at(input->name));
  }
  for (const ActivationSite& site : sites.activations) {
    const auto found = width.find(site.owner());
    plan.activation_bits[site.name] = found == width.end() ? wide : found->second;
  }
}

}  // namespace

LayerChoice* QuantPlan::layer(const std::string& name) {
  auto it = std::find_if(layers.begin(), layers.end(),
                         [&](const LayerChoice& l) { return l.name == name; });
  return it == layers.end() ? nullptr : &*it;
}
const LayerChoice* QuantPlan::layer(const std::string& name) const {
  return const_cast<QuantPlan*>(this)->layer(name);
}

const LayerChoice* QuantPlan::stored_weight(const std::string& name) const {
  auto it = std::find_if(stored.begin(), stored.end(),
                         [&](const LayerChoice& l) { return l.name == name; });
  return it == stored.end() ? nullptr : &*it;
}

int QuantPlan::input_bits(const LayerSite& site) const {
  const LayerChoice* choice = layer(site.name);
  if (choice && choice->dynamic()) return choice->activation_bits;
  return site.float_input.empty() ? activation_bits.at(site.input) : kFloatBits;
}

QuantPlan uniform_plan(const Sites& sites, UniformChoice choice,
                       const std::vector<std::pair<std::string, UniformChoice>>& keep) {
  QuantPlan plan;
  plan.source = cat("uniform ", choice_text(choice));
  // Below 8 bits only what layers read is narrow; sums of branches and the network's input keep 8.
  const int wide =
      choice.activation_bits == kFloatBits ? kFloatBits : std::max(8, choice.activation_bits);
  for (const ActivationSite& site : sites.activations) plan.activation_bits[site.name] = wide;
  for (const LayerSite& site : sites.layers) {
    if (!site.reason.empty()) continue;
    LayerChoice layer{.name = site.name,
                      .weight_bits = choice.weight_bits,
                      .activation_bits = choice.activation_bits,
                      .mode = choice.mode.value_or(ActivationMode::kStatic)};
    if (const UniformChoice* k = kept(sites, site, keep)) {
      layer.weight_bits = k->weight_bits;
      layer.activation_bits = k->activation_bits;
      layer.mode = k->mode.value_or(layer.mode);
      layer.reason = "kept by --keep";
    }
    if (!site.float_input.empty()) {
      layer.activation_bits = kFloatBits;
      plan.layers.push_back(std::move(layer));
      continue;
    }
    const ActivationSite* input = sites.activation(site.input);
    if (input && input->network_input && layer.activation_bits < 8) layer.activation_bits = 8;
    int& bits = plan.activation_bits[site.input];
    // A value that several layers read is as wide as the widest of them wants.
    const bool read_before =
        std::any_of(plan.layers.begin(), plan.layers.end(), [&](const LayerChoice& l) {
          const LayerSite& other = *sites.layer(l.name);
          return other.float_input.empty() && other.input == site.input;
        });
    bits = read_before ? std::max(bits, layer.activation_bits) : layer.activation_bits;
    plan.layers.push_back(std::move(layer));
  }
  share_widths(sites, plan, wide);
  widen_branches(plan, sites);
  for (LayerChoice& layer : plan.layers)
    layer.activation_bits = plan.input_bits(*sites.layer(layer.name));
  plan.stored = stored_choices(sites, choice, keep);
  return plan;
}

void set_activation_bits(QuantPlan& plan, const Sites& sites, const std::string& owner, int bits) {
  for (const ActivationSite& site : sites.activations)
    if (site.owner() == owner) plan.activation_bits[site.name] = bits;
}

void set_weight_scale(QuantPlan& plan, const Sites& sites, WeightScale scale) {
  bool any = scale.block == 0 || !plan.stored.empty();
  for (LayerChoice& layer : plan.layers) {
    if (layer.weight_bits == kFloatBits) continue;
    const WeightFormat format = parse_format(layer.format);
    if (format.def->scale_block > 0 || subgroup_of(format) != Subgroup::kChannel) {
      if (scale.by_channel()) continue;
      throw Error(ErrorKind::kUsage, "QT-E129",
                  cat("format ", layer.format, " of '", printable(layer.name),
                      "' has scales of its own, not by ", weight_scale_text(scale)))
          .hint("leave --weight-scale out, or take another format");
    }
    const LayerSite& site = *sites.layer(layer.name);
    const bool fits = scale.block == 0 || (site.matrix && plan.input_bits(site) == kFloatBits);
    // onnxruntime's kernels for stacks of matrices fail at run time on a scale a channel.
    const bool stack = site.dense && !site.matrix && plan.input_bits(site) != kFloatBits;
    layer.scale = stack ? WeightScale{.channels = 0} : fits ? scale : WeightScale();
    any |= fits;
  }
  // Tables and cells are rounded row by row.
  for (LayerChoice& stored : plan.stored) stored.scale.block = scale.block;
  if (any) return;
  throw Error(ErrorKind::kUsage, "QT-E129",
              "weights have scales in blocks only where a dense layer reads floats")
      .hint("ask for float activations, as --uniform w4 does, or leave --weight-scale out");
}

void set_format(QuantPlan& plan, const WeightFormat& format) {
  for (LayerChoice& layer : plan.layers) {
    if (!layer.reason.empty() || layer.weight_bits == kFloatBits) continue;
    check_format_bits(format, layer.weight_bits);
    layer.format = format.text();
    layer.scale = {.block = format.def->scale_block};
  }
  plan.style.power_of_two_scales |= format.def->shifts_activations;
}

PlanCost plan_cost(const QuantPlan& plan, const Sites& sites, const Model& model, Storage storage) {
  PlanCost cost;
  // What a weight takes is told by its code where files round that up to bytes.
  const Storage coded = in_bytes(storage) ? Storage::kWidths : storage;
  double weights = 0, bits = 0, stored = 0, coded_bits = 0, stored_apart = 0, elements = 0,
         activation_bits = 0;
  std::set<std::string> seen;
  std::set<std::pair<std::string, int>> codebooks;  // of the whole model
  for (const LayerSite& site : sites.layers) {
    const LayerChoice* choice = plan.layer(site.name);
    if (!choice || !site.reason.empty()) continue;
    stored_apart += static_cast<double>(added_bias_bits(site, *choice, storage));
    cost.bops += static_cast<double>(site.macs) * mean_bits(*choice) * plan.input_bits(site);
    if (!seen.insert(site.weight).second) continue;  // shared weights are stored once
    weights += static_cast<double>(site.weights);
    bits += static_cast<double>(site.weights) * mean_bits(*choice);
    stored += static_cast<double>(stored_bits(site, *choice, model, storage));
    coded_bits += static_cast<double>(stored_bits(site, *choice, model, coded));
    if (choice->weight_bits != kFloatBits &&
        codebooks.emplace(choice->format, choice->weight_bits).second) {
      const auto book = static_cast<double>(
          shared_codebook_bits(parse_format(choice->format), choice->weight_bits));
      if (storage != Storage::kOperators) stored += book;
      coded_bits += book;
    }
  }
  for (const ActivationSite& site : sites.activations) {
    const auto n = static_cast<double>(std::max<int64_t>(site.elements, 1));
    elements += n;
    activation_bits += n * plan.activation_bits.at(site.name);
  }
  stored_apart += static_cast<double>(quantizer_bits(plan, sites, storage));
  for (const StoredSite& site : sites.stored) {
    const LayerChoice* choice = plan.stored_weight(site.name);
    if (choice && seen.insert(site.weight).second)
      stored_apart += static_cast<double>(stored_bits(site, *choice, model, storage));
  }
  double other = 0;  // biases and everything that is not quantized
  for (const auto& [id, initializer] : model.graph.initializers) {
    if (!seen.contains(model.graph.value(id).name))
      other += static_cast<double>(initializer.data.bytes());
  }
  cost.mean_weight_bits = weights ? bits / weights : 0;
  cost.bits_per_weight = weights ? coded_bits / weights : 0;
  cost.mean_activation_bits = elements ? activation_bits / elements : 0;
  cost.size_bytes =
      static_cast<int64_t>(std::ceil((stored + stored_apart) / 8)) + static_cast<int64_t>(other);
  return cost;
}

}  // namespace qtool
