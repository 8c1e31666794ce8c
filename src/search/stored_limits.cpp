// Limits on what a file stores, where that is no sum over choices: rows of several widths share a tensor or
// need nodes that join them, layers share codebooks.
#include <algorithm>
#include <cmath>

#include "search/problem_builder.hpp"

namespace qtool::search {
namespace {

bool is_stored(const Limit& limit) {
  return limit.kind == Limit::kBpw || limit.kind == Limit::kSize ||
         limit.kind == Limit::kSizeFraction;
}

// Of a layer whose filters all lie in the container, each at its best: the price of the container.
GroupScore by_container(const GroupScore& group) {
  GroupScore coarse{.kind = group.kind, .name = group.name, .widths = {}, .noise = {}};
  for (int container : {2, 4, 8}) {
    std::vector<size_t> inside;
    for (size_t c = 0; c < group.widths.size(); ++c)
      if (group.widths[c].bits <= container) inside.push_back(c);
    if (inside.empty()) continue;
    const Width& widest = group.widths[inside.back()];
    if (!coarse.widths.empty() && coarse.widths.back() == widest) continue;
    double noise = 0;
    for (const std::vector<double>& filter : group.filter_noise) {
      double least = std::numeric_limits<double>::infinity();
      for (size_t c : inside) least = std::min(least, filter[c]);
      noise += least;
    }
    coarse.widths.push_back(widest);
    coarse.noise.push_back(noise);
  }
  return coarse;
}

}  // namespace

void ProblemBuilder::add_stored(double allowed_bits, const Limit& limit) {
  stored_limits_.push_back(
      {problem_.limit.size(), limit.kind == Limit::kBpw, std::floor(allowed_bits)});
  // As plan_cost() counts them.
  const Storage storage =
      limit.kind == Limit::kBpw && in_bytes(options_.storage) ? Storage::kWidths : options_.storage;
  const int64_t fixed = limit.kind == Limit::kBpw ? 0 : 8 * other_bytes(false);
  add_rows(
      static_cast<int64_t>(std::floor(allowed_bits)) - fixed, limit_text(limit),
      [this, storage](const LayerSite& site, const Width& width) {
        return stored_bits(site, layer_choice(site.name, width), model_, storage);
      },
      [](const std::string&, int) { return int64_t{0}; },
      [&](const LayerSite& site, const Width& width) {
        if (limit.kind == Limit::kBpw) return int64_t{0};
        return added_bias_bits(site, layer_choice(site.name, width), options_.storage);
      });
}

bool ProblemBuilder::tighten(const PlanCost& cost) {
  bool any = false;
  for (const StoredLimit& limit : stored_limits_) {
    const double used = limit.per_weight ? cost.bits_per_weight * static_cast<double>(weights())
                                         : 8 * static_cast<double>(cost.size_bytes);
    const double over = std::round(used - limit.allowed);
    if (over < 1) continue;
    problem_.limit[limit.row] -= static_cast<int64_t>(over);
    any = true;
  }
  return any;
}

bool ProblemBuilder::shares_containers() const {
  return options_.per_filter && options_.storage == Storage::kPacked && !stored_limits_.empty();
}

void ProblemBuilder::hold_in(const std::map<std::string, int>& containers) {
  for (size_t i = 0; i < items_.size(); ++i) {
    const Item& item = items_[i];
    if (item.parts[0].filter < 0) continue;
    const LayerSite& site = *sites_.layer(item.parts[0].names[0]);
    const auto found = containers.find(site.name);
    const int container =
        found == containers.end() ? container_bits(item.widths[0][0].bits) : found->second;
    for (size_t c = 0; c < item.widths.size(); ++c)
      if (item.widths[c][0].bits > container)
        problem_.loss[i][c] = std::numeric_limits<double>::infinity();
    const LayerChoice choice = layer_choice(site.name, container);
    const int64_t weight = stored_bits(site, choice, model_, options_.storage),
                  bias = added_bias_bits(site, choice, options_.storage);
    for (const StoredLimit& limit : stored_limits_)
      std::ranges::fill(problem_.cost[limit.row][i],
                        (weight + (limit.per_weight ? 0 : bias)) / site.channels);
  }
}

Containers containers_of(const Model& model, const Sites& sites, const ScoreTable& scores,
                         const AssignOptions& options) {
  ScoreTable coarse = scores;
  coarse.groups.clear();
  for (const GroupScore& group : scores.groups)
    if (group.kind == GroupKind::kWeights) coarse.groups.push_back(by_container(group));
  AssignOptions whole = options;
  whole.per_filter = false;
  std::erase_if(whole.limits, [](const Limit& limit) { return !is_stored(limit); });
  const ProblemBuilder builder(model, sites, coarse, whole);
  const Solution solution = solve(builder.problem());
  Containers containers;
  if (!solution.found()) return containers;
  containers.bound = solution.bound;
  for (const LayerChoice& layer : builder.plan(solution.choice).layers)
    containers.bits[layer.name] = container_bits(layer.weight_bits);
  return containers;
}

}  // namespace qtool::search
