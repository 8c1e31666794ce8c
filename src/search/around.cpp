// Prices around a plan: what single steps of its groups do to the noise that the whole plan makes.
#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "qtool/assign.hpp"
#include "qtool/branches.hpp"

namespace qtool {
namespace {

constexpr double kForbidden = std::numeric_limits<double>::infinity();

size_t index_of(const std::vector<Width>& widths, const Width& width) {
  return static_cast<size_t>(std::ranges::find(widths, width) - widths.begin());
}

// A group's candidates, dearest first, and where each stands: steps go from neighbour to neighbour.
class Ladder {
 public:
  // Filters are never float by themselves.
  Ladder(const GroupScore& group, bool per_filter) : place_(group.widths.size(), -1) {
    for (size_t c = 0; c < group.widths.size(); ++c)
      if (!per_filter || group.widths[c].bits != kFloatBits) order_.push_back(c);
    std::ranges::stable_sort(order_, std::greater<>(), [&](size_t c) { return group.noise[c]; });
    for (size_t i = 0; i < order_.size(); ++i) place_[order_[i]] = static_cast<int>(i);
  }
  // From `from` to `to`, positive towards less noise; candidates that are no rung are far away.
  int steps(size_t from, size_t to) const {
    return place_[to] < 0 ? static_cast<int>(order_.size()) : place_[to] - place_[from];
  }
  size_t moved(size_t from, int step) const {
    return order_[static_cast<size_t>(
        std::clamp(place_[from] + step, 0, static_cast<int>(order_.size()) - 1))];
  }

 private:
  std::vector<size_t> order_;
  std::vector<int> place_;
};

class Around {
 public:
  Around(const QuantPlan& plan, const Sites& sites, const ScoreTable& scores,
         const std::function<double(const QuantPlan&)>& noise)
      : plan_(plan), sites_(sites), scores_(scores), noise_(noise), here_(noise(plan)) {}

  ScoreTable prices() const {
    ScoreTable around = scores_;
    Progress progress("pricing around the plan", static_cast<int64_t>(around.groups.size()),
                      "groups");
    for (GroupScore& group : around.groups) {
      if (is_chosen(group)) price(group);
      progress.advance(1);
    }
    return around;
  }

 private:
  bool is_chosen(const GroupScore& group) const {
    if (group.kind == GroupKind::kActivation) {
      const auto at = plan_.activation_bits.find(group.name);
      return at != plan_.activation_bits.end() &&
             index_of(group.widths, at->second) < group.widths.size();
    }
    const LayerChoice* layer = plan_.layer(group.name);
    return layer && layer->reason.empty();
  }

  // What the plan has: of a filter, or of the whole group.
  size_t chosen(const GroupScore& group, size_t filter) const {
    if (group.kind == GroupKind::kActivation)
      return index_of(group.widths, plan_.activation_bits.at(group.name));
    const LayerChoice& layer = *plan_.layer(group.name);
    return index_of(group.widths, layer.filter_bits.empty() ? Width(layer.weight_bits, layer.format)
                                                            : Width(layer.filter_bits[filter]));
  }
  size_t filters(const GroupScore& group) const {
    const LayerChoice* layer = plan_.layer(group.name);
    return group.kind == GroupKind::kWeights ? layer->filter_bits.size() : 0;
  }

  void price(GroupScore& group) const {
    const size_t count = filters(group);
    const Ladder ladder(group, count > 0);
    const std::array<double, 2> factors = {factor(group, ladder, -1), factor(group, ladder, 1)};
    group.error.clear();
    if (count == 0) rescale(ladder, chosen(group, 0), factors, group.noise);
    for (size_t f = 0; f < count; ++f)
      rescale(ladder, chosen(group, f), factors, group.filter_noise[f]);
  }

  static void rescale(const Ladder& ladder, size_t chosen, const std::array<double, 2>& factors,
                      std::vector<double>& noise) {
    const double here = noise[chosen];
    for (size_t c = 0; c < noise.size(); ++c) {
      const int steps = ladder.steps(chosen, c);
      if (steps != 0)
        noise[c] = std::abs(steps) > 1 ? kForbidden : here + factors[steps > 0] * (noise[c] - here);
    }
  }

  // Measured over predicted change of noise when the group, all its filters at once, moves by a step.
  double factor(const GroupScore& group, const Ladder& ladder, int step) const {
    QuantPlan plan = plan_;
    const double predicted = move(group, ladder, step, plan);
    return predicted == 0 ? 1 : std::max(0.0, (noise_(plan) - here_) / predicted);
  }

  // Layers that share a weight move together. Returns the predicted change.
  double move(const GroupScore& group, const Ladder& ladder, int step, QuantPlan& plan) const {
    if (group.kind == GroupKind::kActivation) {
      const size_t from = chosen(group, 0), to = ladder.moved(from, step);
      set_activation_bits(plan, sites_, group.name, group.widths[to].bits);
      widen_branches(plan, sites_);
      for (LayerChoice& layer : plan.layers)
        layer.activation_bits = plan.input_bits(*sites_.layer(layer.name));
      return group.noise[to] - group.noise[from];
    }
    double predicted = 0;
    for (const GroupScore& other : scores_.groups) {
      if (other.kind != GroupKind::kWeights || !is_chosen(other) ||
          sites_.layer(other.name)->weight != sites_.layer(group.name)->weight)
        continue;
      LayerChoice& layer = *plan.layer(other.name);
      for (size_t f = 0; f < filters(other); ++f) {
        const size_t from = chosen(other, f), to = ladder.moved(from, step);
        layer.filter_bits[f] = other.widths[to].bits;
        predicted += other.filter_noise[f][to] - other.filter_noise[f][from];
      }
      if (!layer.filter_bits.empty()) {
        layer.weight_bits = std::ranges::max(layer.filter_bits);
        continue;
      }
      const size_t from = chosen(other, 0), to = ladder.moved(from, step);
      layer.weight_bits = other.widths[to].bits;
      layer.format = other.widths[to].format;
      predicted += other.noise[to] - other.noise[from];
    }
    return predicted;
  }

  const QuantPlan& plan_;
  const Sites& sites_;
  const ScoreTable& scores_;
  const std::function<double(const QuantPlan&)>& noise_;
  const double here_;
};

}  // namespace

ScoreTable prices_around(const QuantPlan& plan, const Sites& sites, const ScoreTable& scores,
                         const std::function<double(const QuantPlan&)>& noise) {
  return Around(plan, sites, scores, noise).prices();
}

}  // namespace qtool
