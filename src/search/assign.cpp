#include "qtool/assign.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qtool {
namespace {

// What one group costs at a width, and how its choice is written into the plan.
struct Item {
  GroupKind kind;
  std::vector<std::string> names;  // layers that share one weight, or one activation
  std::vector<int> bits;
  std::vector<double> loss;
  int64_t filter = -1;  // of the layers' output channels; −1: all of them
  double importance = std::numeric_limits<double>::quiet_NaN();  // not a number: unknown
};

double importance_of(const GroupScore& group, int64_t filter) {
  const std::vector<double>& all = group.importance;
  if (all.empty()) return std::numeric_limits<double>::quiet_NaN();
  if (filter >= 0) return all[static_cast<size_t>(filter)];
  double sum = 0;
  for (double i : all) sum += i;
  return sum / static_cast<double>(all.size());
}

int64_t scale_bits(const LayerSite& site, int bits) {
  return bits == kFloatBits ? 0 : 32 * site.channels;
}

// The problem's groups from the score table; what is kept does not take part.
class Builder {
 public:
  Builder(const Model& model, const Sites& sites, const ScoreTable& scores,
          const AssignOptions& options)
      : model_(model),
        sites_(sites),
        options_(options),
        plan_(uniform_plan(sites, {8, options.activation_bits}, options.keep)) {
    for (const GroupScore& group : scores.groups) add(group);
    for (const Item& item : items_) problem_.loss.push_back(item.loss);
    if (std::none_of(items_.begin(), items_.end(),
                     [](const Item& item) { return std::isnan(item.importance); })) {
      for (const Item& item : items_) problem_.importance.push_back(item.importance);
    }
    if (options.quality) {
      problem_.quality = [this](const std::vector<int>& choice) {
        return options_.quality(plan(choice));
      };
    }
    for (const Limit& limit : options.limits) add_limit(limit);
  }

  const Problem& problem() const { return problem_; }
  const std::vector<std::string>& limit_names() const { return limit_names_; }

  QuantPlan plan(const std::vector<int>& choice) const {
    QuantPlan plan = plan_;
    for (size_t i = 0; i < items_.size(); ++i) {
      const int bits = items_[i].bits[static_cast<size_t>(choice[i])];
      for (const std::string& name : items_[i].names) {
        if (items_[i].kind == GroupKind::kWeights)
          set_width(*plan.layer(name), items_[i], bits);
        else
          set_activation(plan, name, bits);
      }
    }
    for (LayerChoice& layer : plan.layers) {
      layer.activation_bits = plan.input_bits(*sites_.layer(layer.name));
      layer.method = options_.method;
    }
    plan.source = options_.source;
    return plan;
  }

 private:
  void set_width(LayerChoice& layer, const Item& item, int bits) const {
    if (item.filter < 0) {
      layer.weight_bits = bits;
      return;
    }
    if (layer.filter_bits.empty()) {
      layer.filter_bits.resize(static_cast<size_t>(sites_.layer(layer.name)->channels));
      layer.weight_bits = 0;
    }
    layer.filter_bits[static_cast<size_t>(item.filter)] = bits;
    layer.weight_bits = std::max(layer.weight_bits, bits);
  }

  void set_activation(QuantPlan& plan, const std::string& name, int bits) const {
    plan.activation_bits[name] = bits;
    for (const ActivationSite& site : sites_.activations)
      if (site.shares_with == name) plan.activation_bits[site.name] = bits;
  }

  bool is_kept(const std::string& layer) const {
    const LayerChoice* choice = plan_.layer(layer);
    return !choice || !choice->reason.empty();
  }

  void add(const GroupScore& group) {
    if (group.kind == GroupKind::kActivation) {
      if (!sites_.activation(group.name))
        throw Error(ErrorKind::kUsage, "QT-E131",
                    cat("scores name '", printable(group.name), "', which is not in the model"));
      for (const LayerSite& site : sites_.layers)
        if (site.input == group.name && site.reason.empty() && is_kept(site.name)) return;
      items_.push_back({group.kind, {group.name}, group.bits, group.noise});
      return;
    }
    const LayerSite* site = sites_.layer(group.name);
    if (!site)
      throw Error(ErrorKind::kUsage, "QT-E131",
                  cat("scores name '", printable(group.name), "', which is not in the model"));
    if (is_kept(group.name)) return;
    std::vector<std::vector<double>> losses = {group.noise};
    if (options_.per_filter) losses = filter_losses(group, *site);
    const auto [first, fresh] = first_item_.emplace(site->weight, items_.size());
    for (size_t f = 0; f < losses.size(); ++f) {
      if (fresh) {
        const int64_t filter = options_.per_filter ? static_cast<int64_t>(f) : -1;
        items_.push_back({group.kind,
                          {group.name},
                          group.bits,
                          losses[f],
                          filter,
                          importance_of(group, filter)});
        continue;
      }
      Item& item = items_[first->second + f];  // one weight, one width
      for (size_t c = 0; c < item.loss.size(); ++c) item.loss[c] += losses[f][c];
      item.names.push_back(group.name);
    }
  }

  std::vector<std::vector<double>> filter_losses(const GroupScore& group,
                                                 const LayerSite& site) const {
    if (static_cast<int64_t>(group.filter_noise.size()) != site.channels) {
      throw Error(ErrorKind::kUsage, "QT-E139",
                  cat("the scores of '", printable(group.name), "' do not price its filters"))
          .hint("take another --score, or --granularity layer");
    }
    std::vector<std::vector<double>> losses = group.filter_noise;
    for (size_t c = 0; c < group.bits.size(); ++c) {
      if (group.bits[c] != kFloatBits) continue;  // a layer is float as a whole
      for (auto& row : losses) row[c] = std::numeric_limits<double>::infinity();
    }
    return losses;
  }

  // cost(layer, bits) summed over weights, cost(activation, bits) over activations; what is fixed is taken off the limit.
  template <typename WeightCost, typename ActivationCost>
  void add_rows(int64_t limit, std::string name, WeightCost weight_cost,
                ActivationCost activation_cost) {
    std::set<std::string> free_weights, free_activations;
    std::vector<std::vector<int64_t>> rows;
    for (const Item& item : items_) {
      std::vector<int64_t> row;
      for (int bits : item.bits) {
        if (item.kind == GroupKind::kWeights) {
          const LayerSite& site = *sites_.layer(item.names[0]);
          // Filters are equally large, so that a layer's cost divides.
          row.push_back(weight_cost(site, bits) / (item.filter < 0 ? 1 : site.channels));
        } else
          row.push_back(activation_cost(item.names[0], bits));
      }
      rows.push_back(std::move(row));
      if (item.kind == GroupKind::kWeights)
        free_weights.insert(sites_.layer(item.names[0])->weight);
      else
        free_activations.insert(item.names[0]);
    }
    std::set<std::string> counted = free_weights;
    for (const LayerSite& site : sites_.layers) {
      const LayerChoice* choice = plan_.layer(site.name);
      if (choice && counted.insert(site.weight).second)
        limit -= weight_cost(site, choice->weight_bits);
    }
    for (const ActivationSite& site : sites_.activations) {
      if (site.shares_with.empty() && !free_activations.contains(site.name))
        limit -= activation_cost(site.name, plan_.activation_bits.at(site.name));
    }
    problem_.cost.push_back(std::move(rows));
    problem_.limit.push_back(limit);
    limit_names_.push_back(std::move(name));
  }

  // Elements of an activation and of those that share its parameters.
  int64_t elements(const std::string& name) const {
    int64_t total = 0;
    for (const ActivationSite& site : sites_.activations) {
      if (site.name == name || site.shares_with == name)
        total += std::max<int64_t>(site.elements, 1);
    }
    return total;
  }

  int64_t weights() const {
    int64_t total = 0;
    std::set<std::string> seen;
    for (const LayerSite& site : sites_.layers)
      if (plan_.layer(site.name) && seen.insert(site.weight).second) total += site.weights;
    return total;
  }

  // Bytes of everything that no layer's width changes, and of the whole float model.
  int64_t other_bytes(bool with_weights) const {
    std::set<std::string> layered;
    for (const LayerSite& site : sites_.layers)
      if (!with_weights && plan_.layer(site.name)) layered.insert(site.weight);
    int64_t total = 0;
    for (const auto& [id, initializer] : model_.graph.initializers) {
      if (!layered.contains(model_.graph.value(id).name)) total += initializer.data.bytes();
    }
    return total;
  }

  void add_limit(const Limit& limit) {
    const auto none = [](const auto&, int) { return int64_t{0}; };
    const auto stored = [](const LayerSite& s, int bits) {
      return s.weights * bits + scale_bits(s, bits);
    };
    const auto floor64 = [](double v) { return static_cast<int64_t>(std::floor(v)); };
    switch (limit.kind) {
      case Limit::kBits:
        return add_rows(
            floor64(limit.value * static_cast<double>(weights())), limit_text(limit),
            [](const LayerSite& s, int bits) { return s.weights * bits; }, none);
      case Limit::kBpw:
        return add_rows(floor64(limit.value * static_cast<double>(weights())), limit_text(limit),
                        stored, none);
      case Limit::kSize:
        return add_rows(floor64(limit.value * 8) - 8 * other_bytes(false), limit_text(limit),
                        stored, none);
      case Limit::kSizeFraction:
        return add_rows(floor64(limit.value * 8 * static_cast<double>(other_bytes(true))) -
                            8 * other_bytes(false),
                        limit_text(limit), stored, none);
      case Limit::kActivationBits: {
        int64_t total = 0;
        for (const ActivationSite& site : sites_.activations)
          total += std::max<int64_t>(site.elements, 1);
        return add_rows(floor64(limit.value * static_cast<double>(total)), limit_text(limit), none,
                        [&](const std::string& name, int bits) { return elements(name) * bits; });
      }
      case Limit::kBops:
        return add_bops(floor64(limit.value), limit_text(limit));
      case Limit::kBopsFraction: {
        double whole = 0;
        for (const LayerSite& site : sites_.layers)
          if (plan_.layer(site.name)) whole += 1024.0 * static_cast<double>(site.macs);
        return add_bops(floor64(limit.value * whole), limit_text(limit));
      }
      default:
        throw Error(ErrorKind::kUsage, "QT-E125",
                    cat("this search does not price the limit ", limit_text(limit)))
            .hint("it takes bits, bpw, size, bops and act= limits");
    }
  }

  // A product of two widths is a sum of costs only while one of them is fixed.
  void add_bops(int64_t limit, std::string name) {
    for (const Item& item : items_) {
      if (item.kind == GroupKind::kActivation) {
        throw Error(ErrorKind::kUsage, "QT-E125", "a bops limit needs fixed activation widths")
            .hint("give --activations one width");
      }
    }
    add_rows(
        limit, std::move(name),
        [&](const LayerSite& s, int bits) { return s.macs * bits * plan_.input_bits(s); },
        [](const std::string&, int) { return int64_t{0}; });
  }

  const Model& model_;
  const Sites& sites_;
  const AssignOptions& options_;
  QuantPlan plan_;
  std::vector<Item> items_;
  std::map<std::string, size_t> first_item_;  // of a weight
  Problem problem_;
  std::vector<std::string> limit_names_;
};

[[noreturn]] void throw_infeasible(const Builder& builder, const Solution& solution) {
  std::string reached;
  for (size_t k = 0; k < solution.smallest.size(); ++k) {
    const double share = builder.problem().limit[k] > 0
                             ? static_cast<double>(solution.smallest[k]) /
                                   static_cast<double>(builder.problem().limit[k])
                             : 0;
    reached += cat(k ? "; " : "", builder.limit_names()[k], ": the smallest possible is ",
                   share > 0 ? fixed(100 * share, 1) + " % of it" : "above it");
  }
  throw Error(ErrorKind::kInfeasible, "QT-E501", cat("no plan meets the budget (", reached, ")"))
      .hint("raise the budget, or allow narrower widths with --weights and --activations");
}

}  // namespace

Assignment assign(const Model& model, const Sites& sites, const ScoreTable& scores,
                  const AssignOptions& options) {
  const Builder builder(model, sites, scores, options);
  const Solution solution = solve(builder.problem(), options.solver);
  if (!solution.found()) throw_infeasible(builder, solution);
  Assignment result;
  result.plan = builder.plan(solution.choice);
  result.plan.model_fingerprint = scores.model_fingerprint;
  result.cost = plan_cost(result.plan, sites, model);
  result.loss = solution.loss;
  result.bound = solution.bound;
  result.gap = solution.gap;
  result.status = solution.status == Solution::kOptimal ? "optimal" : "feasible";
  result.solver = solution.solver;
  return result;
}

}  // namespace qtool
