#include "search/items.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace qtool::search {
namespace {

// Pairs of choices are compared with each other.
constexpr size_t kMostChoices = 4096;

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

class Maker {
 public:
  Maker(const Sites& sites, const QuantPlan& fixed, bool per_filter)
      : sites_(sites), fixed_(fixed), per_filter_(per_filter) {}

  void add(const GroupScore& group) {
    if (group.kind == GroupKind::kActivation) return add_activation(group);
    const LayerSite* site = sites_.layer(group.name);
    if (!site) throw_not_in_model(group);
    if (is_kept(group.name)) return;
    std::vector<std::vector<double>> losses = {group.noise};
    if (per_filter_) losses = filter_losses(group, *site);
    const auto [first, fresh] = first_item_.emplace(site->weight, items_.size());
    for (size_t f = 0; f < losses.size(); ++f) {
      if (fresh)
        add_item(group, per_filter_ ? static_cast<int64_t>(f) : -1, losses[f]);
      else
        merge(group, losses[f], items_[first->second + f]);
    }
  }

  std::vector<Item> take() { return std::move(items_); }

 private:
  bool is_kept(const std::string& layer) const {
    const LayerChoice* choice = fixed_.layer(layer);
    return !choice || !choice->reason.empty();
  }

  void add_activation(const GroupScore& group) {
    if (!sites_.activation(group.name)) throw_not_in_model(group);
    for (const LayerSite& site : sites_.layers) {
      if (site.reason.empty() && site.float_input.empty() && is_kept(site.name) &&
          sites_.owner_of(site.input) == group.name)
        return;
    }
    add_item(group, -1, group.noise);
  }

  void add_item(const GroupScore& group, int64_t filter, const std::vector<double>& loss) {
    Item item{.parts = {{group.kind, {group.name}, filter}},
              .widths = {},
              .loss = loss,
              .importance = importance_of(group, filter),
              .error = filter < 0 ? group.error : std::vector<std::vector<float>>{}};
    for (const Width& width : group.widths) item.widths.push_back({width});
    items_.push_back(std::move(item));
  }

  // One weight, one width: prices add up.
  static void merge(const GroupScore& group, const std::vector<double>& loss, Item& item) {
    for (size_t c = 0; c < item.loss.size(); ++c) {
      item.loss[c] += loss[c];
      if (item.error.empty() || group.error.empty()) continue;
      for (size_t d = 0; d < item.error[c].size(); ++d) item.error[c][d] += group.error[c][d];
    }
    item.parts[0].names.push_back(group.name);
  }

  static std::vector<std::vector<double>> filter_losses(const GroupScore& group,
                                                        const LayerSite& site) {
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

  const Sites& sites_;
  const QuantPlan& fixed_;
  const bool per_filter_;
  std::vector<Item> items_;
  std::map<std::string, size_t> first_item_;  // of a weight
};

// All pairs of choices. Where errors are known, a pair's loss holds what one does to the other, as
// Problem::error wants it of one group.
Item product(const Item& a, const Item& b) {
  Item both{.parts = a.parts, .widths = {}, .loss = {}};
  both.parts.insert(both.parts.end(), b.parts.begin(), b.parts.end());
  const bool interact = !a.error.empty() && !b.error.empty();
  for (size_t i = 0; i < a.loss.size(); ++i) {
    for (size_t k = 0; k < b.loss.size(); ++k) {
      both.widths.push_back(a.widths[i]);
      both.widths.back().insert(both.widths.back().end(), b.widths[k].begin(), b.widths[k].end());
      both.loss.push_back(a.loss[i] + b.loss[k]);
      if (!interact) continue;
      std::vector<float>& error = both.error.emplace_back(a.error[i]);
      for (size_t d = 0; d < error.size(); ++d) {
        both.loss.back() += 2 * double{error[d]} * b.error[k][d];
        error[d] += b.error[k][d];
      }
    }
  }
  return both;
}

void sort_by_width(Item& item) {
  const auto sum = [&](size_t c) {
    int bits = 0;
    for (const Width& width : item.widths[c]) bits += width.bits;
    return bits;
  };
  std::vector<size_t> order(item.loss.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return sum(a) < sum(b); });
  const Item from = item;
  for (size_t c = 0; c < order.size(); ++c) {
    item.widths[c] = from.widths[order[c]];
    item.loss[c] = from.loss[order[c]];
    if (!item.error.empty()) item.error[c] = from.error[order[c]];
  }
}

// Sets of items that belong together: the index of each one's first.
class Sets {
 public:
  explicit Sets(size_t count) : first_(count) { std::iota(first_.begin(), first_.end(), 0); }
  size_t find(size_t i) const { return first_[i] == i ? i : find(first_[i]); }
  void unite(size_t a, size_t b) {
    const size_t x = find(a), y = find(b);
    first_[std::max(x, y)] = std::min(x, y);
  }

 private:
  std::vector<size_t> first_;
};

}  // namespace

std::vector<Width> widths_of(const Item& item) {
  std::vector<Width> widths;
  for (const std::vector<Width>& choice : item.widths) widths.push_back(choice[0]);
  return widths;
}

std::vector<Item> make_items(const Sites& sites, const ScoreTable& scores, const QuantPlan& fixed,
                             bool per_filter) {
  Maker maker(sites, fixed, per_filter);
  for (const GroupScore& group : scores.groups) maker.add(group);
  return maker.take();
}

std::vector<Item> join_items(std::vector<Item> items, const Sites& sites, const Coupled& coupled) {
  std::map<std::string, size_t> inputs;
  for (size_t i = 0; i < items.size(); ++i)
    if (items[i].parts[0].kind == GroupKind::kActivation) inputs[items[i].parts[0].names[0]] = i;
  Sets sets(items.size());
  for (size_t i = 0; i < items.size() && !inputs.empty(); ++i) {
    if (items[i].parts[0].kind != GroupKind::kWeights) continue;
    for (const std::string& name : items[i].parts[0].names) {
      const LayerSite& site = *sites.layer(name);
      const auto input = inputs.find(sites.owner_of(site.input));
      if (site.float_input.empty() && input != inputs.end() &&
          coupled(site, widths_of(items[i]), widths_of(items[input->second])))
        sets.unite(i, input->second);
    }
  }
  std::vector<Item> joined;
  std::map<size_t, size_t> place;  // of a set in `joined`
  for (size_t i = 0; i < items.size(); ++i) {
    const auto [at, fresh] = place.emplace(sets.find(i), joined.size());
    if (fresh) {
      joined.push_back(std::move(items[i]));
      continue;
    }
    Item& item = joined[at->second];
    if (item.loss.size() * items[i].loss.size() > kMostChoices) {
      throw Error(
          ErrorKind::kUsage, "QT-E125",
          cat("the widths of '", printable(item.parts[0].names[0]),
              "' and of what is chosen with it have more than ", kMostChoices, " combinations"))
          .hint("give fewer --weights, or --activations one width");
    }
    item = product(item, items[i]);
  }
  for (Item& item : joined)
    if (item.parts.size() > 1) sort_by_width(item);
  return joined;
}

}  // namespace qtool::search
