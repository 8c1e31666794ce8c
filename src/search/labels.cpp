#include "search/labels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

namespace qtool::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Other prices that bounds are taken at: each limit's times these.
constexpr double kFactors[] = {0, 0.5, 0.8, 1.25, 2};
// A label is compared with so many before it: most that dominate it are near.
constexpr size_t kCompared = 32;

// Groups with costs that are a large part of a limit come first: the others fill what these leave.
std::vector<int> in_order(const Table& t) {
  std::vector<double> part(static_cast<size_t>(t.groups), 0);
  for (int g = 0; g < t.groups; ++g) {
    for (int i = t.begin[g]; i < t.begin[g + 1]; ++i) {
      for (int k = 0; k < t.limits; ++k)
        part[g] = std::max(part[g], static_cast<double>(t.cost_of(i)[k]) /
                                        static_cast<double>(std::max<int64_t>(t.limit[k], 1)));
    }
  }
  std::vector<int> order(static_cast<size_t>(t.groups));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return part[a] > part[b]; });
  return order;
}

// Prices, and what the groups from each place in the order on cost at least at those.
struct Bound {
  std::vector<double> price, rest;
  double refund = 0;
};

class Labels {
 public:
  Labels(const Table& t, const std::vector<double>& price, double ceiling, int64_t work)
      : t_(t), order_(in_order(t)), ceiling_(ceiling) {
    add_bound(price);
    for (int k = 0; k < t.limits; ++k) {
      for (double factor : kFactors) {
        std::vector<double> other = price;
        other[k] *= factor;
        if (other != price) add_bound(other);
      }
    }
    most_ = static_cast<size_t>(std::max<int64_t>(1, work / std::max(t.items(), 1)));
    least_.assign(order_.size() + 1, std::vector<int64_t>(static_cast<size_t>(t.limits), 0));
    for (size_t d = order_.size(); d-- > 0;) {
      for (int k = 0; k < t.limits; ++k) {
        int64_t least = std::numeric_limits<int64_t>::max();
        for (int i = t.begin[order_[d]]; i < t.begin[order_[d] + 1]; ++i)
          least = std::min(least, t.cost_of(i)[k]);
        least_[d][k] = least_[d + 1][k] + least;
      }
    }
  }

  Labelled run() {
    std::vector<Label> now = {{0, 0, -1, -1, 0}};
    costs_.assign(static_cast<size_t>(t_.limits), 0);
    for (size_t d = 0; d < order_.size() && !now.empty(); ++d) {
      check_interrupted();
      std::vector<Label> next;
      next_costs_.clear();
      for (const Label& label : now) extend(d, label, next);
      std::swap(costs_, next_costs_);
      keep_undominated(next);
      keep_best(next);
      for (Label& label : next) {
        trace_.push_back({label.trace, label.item});
        label.trace = static_cast<int>(trace_.size()) - 1;
      }
      now = std::move(next);
    }
    Labelled result;
    const auto best = std::ranges::min_element(now, {}, &Label::loss);
    if (best != now.end()) result.best = assignment(best->trace);
    result.bound = std::min(dropped_, result.best ? result.best->loss : ceiling_);
    return result;
  }

 private:
  struct Label {
    double loss, bound;
    int trace, item;
    size_t cost;  // place of its first in costs_
  };
  struct Trace {
    int parent, item;
  };

  void add_bound(const std::vector<double>& price) {
    Bound b{price, std::vector<double>(order_.size() + 1, 0.0)};
    for (int k = 0; k < t_.limits; ++k) b.refund += price[k] * static_cast<double>(t_.limit[k]);
    for (size_t d = order_.size(); d-- > 0;) {
      double least = kInfinity;
      for (int i = t_.begin[order_[d]]; i < t_.begin[order_[d] + 1]; ++i)
        least = std::min(least, t_.loss[i] + paid(price, t_.cost_of(i)));
      b.rest[d] = b.rest[d + 1] + least;
    }
    bounds_.push_back(std::move(b));
  }

  double paid(const std::vector<double>& price, const int64_t* cost) const {
    double sum = 0;
    for (int k = 0; k < t_.limits; ++k) sum += price[k] * static_cast<double>(cost[k]);
    return sum;
  }

  // Of all assignments that begin like this, with d groups decided; as soon as it is of no use, any such number.
  double bound_of(size_t d, double loss, const int64_t* cost) const {
    double best = -kInfinity;
    for (const Bound& b : bounds_) {
      const double total = loss + paid(b.price, cost) + b.rest[d];
      const double rounding = (2.0 * t_.groups + 4.0 * t_.limits + 8) *
                              std::numeric_limits<double>::epsilon() * (total + b.refund);
      best = std::max(best, total - b.refund - rounding);
      if (!clearly_less(best, ceiling_)) return best;
    }
    return best;
  }

  void extend(size_t d, const Label& from, std::vector<Label>& to) {
    const int g = order_[d];
    const int64_t* spent = costs_.data() + from.cost;
    std::vector<int64_t> cost(static_cast<size_t>(t_.limits));
    for (int i = t_.begin[g]; i < t_.begin[g + 1]; ++i) {
      bool inside = true;
      for (int k = 0; k < t_.limits; ++k) {
        cost[k] = spent[k] + t_.cost_of(i)[k];
        inside &= cost[k] + least_[d + 1][k] <= t_.limit[k];
      }
      if (!inside) continue;
      const double loss = from.loss + t_.loss[i], bound = bound_of(d + 1, loss, cost.data());
      if (!clearly_less(bound, ceiling_)) continue;
      to.push_back({loss, bound, from.trace, i, next_costs_.size()});
      next_costs_.insert(next_costs_.end(), cost.begin(), cost.end());
    }
  }

  std::span<const int64_t> cost_of(const Label& label) const {
    return std::span(costs_).subspan(label.cost, static_cast<size_t>(t_.limits));
  }

  bool dominates(const Label& a, const Label& b) const {
    if (a.loss > b.loss) return false;
    const int64_t *x = costs_.data() + a.cost, *y = costs_.data() + b.cost;
    for (int k = 0; k < t_.limits; ++k)
      if (x[k] > y[k]) return false;
    return true;
  }

  void keep_undominated(std::vector<Label>& labels) const {
    std::stable_sort(labels.begin(), labels.end(), [this](const Label& a, const Label& b) {
      const auto x = cost_of(a), y = cost_of(b);
      const auto order =
          std::lexicographical_compare_three_way(x.begin(), x.end(), y.begin(), y.end());
      return order != 0 ? order < 0 : a.loss < b.loss;
    });
    std::vector<Label> kept;
    for (Label& label : labels) {
      const size_t first = kept.size() > kCompared ? kept.size() - kCompared : 0;
      bool dominated = false;
      for (size_t i = kept.size(); i-- > first && !dominated;)
        dominated = dominates(kept[i], label);
      if (!dominated) kept.push_back(std::move(label));
    }
    labels = std::move(kept);
  }

  void keep_best(std::vector<Label>& labels) {
    if (labels.size() <= most_) return;
    std::stable_sort(labels.begin(), labels.end(),
                     [](const Label& a, const Label& b) { return a.bound < b.bound; });
    dropped_ = std::min(dropped_, labels[most_].bound);
    labels.resize(most_);
  }

  Assignment assignment(int trace) const {
    std::vector<int> item(static_cast<size_t>(t_.groups));
    for (size_t d = order_.size(); d-- > 0; trace = trace_[static_cast<size_t>(trace)].parent)
      item[order_[d]] = trace_[static_cast<size_t>(trace)].item;
    return make_assignment(t_, std::move(item));
  }

  const Table& t_;
  const std::vector<int> order_;
  const double ceiling_;
  std::vector<Bound> bounds_;
  std::vector<std::vector<int64_t>> least_;  // that the groups from a place on cost
  size_t most_ = 1;                          // labels that are kept
  std::vector<int64_t> costs_, next_costs_;  // of the labels at a place, and of those behind it
  std::vector<Trace> trace_;
  double dropped_ = kInfinity;  // the least bound of what was not looked at
};

}  // namespace

Labelled search_labels(const Table& table, const std::vector<double>& price, double ceiling,
                       int64_t work) {
  return Labels(table, price, ceiling, work).run();
}

}  // namespace qtool::search
