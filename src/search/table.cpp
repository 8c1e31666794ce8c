#include "search/table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace qtool::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Sums and differences of two totals below this stay within int64.
constexpr int64_t kMaxTotal = int64_t{1} << 61;

// Least permitted cost of a group under one limit; the group has a permitted choice.
int64_t least_cost(const Problem& p, size_t k, size_t g) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (size_t c = 0; c < p.loss[g].size(); ++c) {
    if (permitted(p.loss[g][c])) least = std::min(least, p.cost[k][g][c]);
  }
  return least;
}

int first_blocked_group(const Problem& p) {
  for (size_t g = 0; g < p.loss.size(); ++g) {
    if (std::none_of(p.loss[g].begin(), p.loss[g].end(), permitted)) return static_cast<int>(g);
  }
  return -1;
}

// The Problem's groups as lists of permitted choices with shifted costs.
struct Draft {
  struct Item {
    int choice;
    double loss;
    std::vector<int64_t> cost;   // of the active limits
    std::vector<int64_t> spare;  // of the others: they only decide between equals
  };
  std::vector<std::vector<Item>> groups;
  std::vector<int64_t> limit;
};

// Empty when one limit alone cannot be held.
std::optional<Draft> shifted(const Problem& p) {
  Draft d;
  std::vector<size_t> active, inactive;
  std::vector<std::vector<int64_t>> least;
  for (size_t k = 0; k < p.limit.size(); ++k) {
    std::vector<int64_t> low(p.loss.size());
    int64_t low_total = 0, high_total = 0;
    for (size_t g = 0; g < p.loss.size(); ++g) {
      low[g] = least_cost(p, k, g);
      low_total += low[g];
      int64_t high = low[g];
      for (size_t c = 0; c < p.loss[g].size(); ++c) {
        if (permitted(p.loss[g][c])) high = std::max(high, p.cost[k][g][c]);
      }
      high_total += high;
    }
    if (low_total > p.limit[k]) return std::nullopt;
    if (high_total <= p.limit[k]) {
      inactive.push_back(k);
      continue;
    }
    active.push_back(k);
    least.push_back(std::move(low));
    d.limit.push_back(p.limit[k] - low_total);
  }
  d.groups.resize(p.loss.size());
  for (size_t g = 0; g < p.loss.size(); ++g) {
    for (size_t c = 0; c < p.loss[g].size(); ++c) {
      if (!permitted(p.loss[g][c])) continue;
      Draft::Item item{static_cast<int>(c), p.loss[g][c], {}, {}};
      bool reachable = true;
      for (size_t k = 0; k < active.size(); ++k) {
        item.cost.push_back(p.cost[active[k]][g][c] - least[k][g]);
        reachable = reachable && item.cost.back() <= d.limit[k];
      }
      for (size_t k : inactive) item.spare.push_back(p.cost[k][g][c]);
      if (reachable) d.groups[g].push_back(std::move(item));
    }
    // Each limit's cheapest choice can lie beyond another limit: nothing is left to choose.
    if (d.groups[g].empty()) return std::nullopt;
  }
  return d;
}

bool dominates(const Draft::Item& a, const Draft::Item& b) {
  if (a.loss > b.loss) return false;
  bool equal = a.loss == b.loss;
  for (size_t k = 0; k < a.cost.size(); ++k) {
    if (a.cost[k] > b.cost[k]) return false;
    equal = equal && a.cost[k] == b.cost[k];
  }
  if (!equal) return true;
  return a.spare != b.spare ? a.spare < b.spare : a.choice < b.choice;
}

void drop_dominated(std::vector<Draft::Item>& items) {
  std::vector<Draft::Item> kept;
  for (const Draft::Item& b : items) {
    bool beaten = std::any_of(items.begin(), items.end(),
                              [&](const Draft::Item& a) { return dominates(a, b); });
    if (!beaten) kept.push_back(b);
  }
  // Ascending by the first cost (then the further ones): one limit's items form its frontier.
  std::sort(kept.begin(), kept.end(), [](const Draft::Item& a, const Draft::Item& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.choice < b.choice;
  });
  items = std::move(kept);
}

void divide_by_common_divisor(Table& t) {
  for (int k = 0; k < t.limits; ++k) {
    int64_t divisor = 0;
    for (int i = 0; i < t.items(); ++i) divisor = std::gcd(divisor, t.cost_of(i)[k]);
    if (divisor <= 1) continue;
    for (int i = 0; i < t.items(); ++i) t.cost[static_cast<size_t>(i) * t.limits + k] /= divisor;
    t.limit[k] /= divisor;
  }
}

}  // namespace

void check_problem(const Problem& p) {
  if (p.cost.size() != p.limit.size()) throw_internal("search: one cost table per limit expected");
  for (const std::vector<double>& group : p.loss) {
    for (double loss : group) {
      if (loss <= -kMaxLoss) throw_internal("search: a loss is below -1e200");
    }
  }
  for (size_t k = 0; k < p.cost.size(); ++k) {
    if (p.cost[k].size() != p.loss.size()) throw_internal("search: costs lack a group");
    // Long double holds every int64 exactly enough to see a total leave the range.
    long double total = std::abs(static_cast<long double>(p.limit[k]));
    for (size_t g = 0; g < p.loss.size(); ++g) {
      if (p.cost[k][g].size() != p.loss[g].size()) throw_internal("search: costs lack a choice");
      long double largest = 0;
      for (int64_t c : p.cost[k][g])
        largest = std::max(largest, std::abs(static_cast<long double>(c)));
      total += largest;
    }
    if (total > static_cast<long double>(kMaxTotal)) {
      throw_model("QT-E340", cat("the costs under limit ", k + 1, " sum to more than 2^61"));
    }
  }
}

std::optional<Table> reduce(const Problem& p) {
  check_problem(p);
  if (first_blocked_group(p) >= 0) return std::nullopt;
  std::optional<Draft> draft = shifted(p);
  if (!draft) return std::nullopt;
  Table t;
  t.groups = static_cast<int>(p.loss.size());
  t.limits = static_cast<int>(draft->limit.size());
  t.limit = draft->limit;
  t.begin.push_back(0);
  for (std::vector<Draft::Item>& items : draft->groups) {
    drop_dominated(items);
    auto by_loss = [](const Draft::Item& a, const Draft::Item& b) { return a.loss < b.loss; };
    auto [low, high] = std::minmax_element(items.begin(), items.end(), by_loss);
    t.loss_offset += low->loss;
    t.loss_ceiling += high->loss - low->loss;
    for (const Draft::Item& item : items) {
      t.choice.push_back(item.choice);
      t.loss.push_back(item.loss - low->loss);
      t.cost.insert(t.cost.end(), item.cost.begin(), item.cost.end());
    }
    t.begin.push_back(t.items());
  }
  divide_by_common_divisor(t);
  return t;
}

Assignment make_assignment(const Table& t, std::vector<int> item) {
  Assignment a{std::move(item), std::vector<int64_t>(t.limits, 0), 0};
  for (int i : a.item) {
    a.loss += t.loss[i];
    for (int k = 0; k < t.limits; ++k) a.cost[k] += t.cost_of(i)[k];
  }
  return a;
}

bool fits(const Table& t, const std::vector<int64_t>& cost) {
  for (int k = 0; k < t.limits; ++k) {
    if (cost[k] > t.limit[k]) return false;
  }
  return true;
}

void flip(const Table& t, Assignment& a, int group, int item) {
  const int old = a.item[group];
  a.loss += t.loss[item] - t.loss[old];
  for (int k = 0; k < t.limits; ++k) a.cost[k] += t.cost_of(item)[k] - t.cost_of(old)[k];
  a.item[group] = item;
}

Solution describe(const Problem& p, std::vector<int> choice) {
  Solution s;
  s.status = Solution::kFeasible;
  s.choice = std::move(choice);
  s.bound = -kInfinity;
  s.cost.assign(p.limit.size(), 0);
  for (size_t g = 0; g < s.choice.size(); ++g) {
    s.loss += p.loss[g][s.choice[g]];
    for (size_t k = 0; k < p.limit.size(); ++k) s.cost[k] += p.cost[k][g][s.choice[g]];
  }
  s.gap = kInfinity;
  return s;
}

void set_bound(Solution& s, double bound) {
  s.bound = std::min(bound, s.loss);
  const double scale = std::max(std::abs(s.loss), std::abs(s.bound));
  s.gap = scale > 0 ? (s.loss - s.bound) / scale : 0;
}

Solution finish(const Problem& p, const Table& t, const Assignment& a, double bound) {
  std::vector<int> choice;
  for (int item : a.item) choice.push_back(t.choice[item]);
  Solution s = describe(p, std::move(choice));
  const double loss = make_assignment(t, a.item).loss;
  if (clearly_less(bound, loss)) {
    set_bound(s, t.loss_offset + bound);
  } else {
    s.status = Solution::kOptimal;
    set_bound(s, s.loss);
  }
  return s;
}

Solution without_choice(const Problem& p, Solution::Status status) {
  Solution s;
  s.status = status;
  s.loss = kInfinity;
  s.bound = status == Solution::kInfeasible ? kInfinity : -kInfinity;
  s.gap = status == Solution::kInfeasible ? 0 : kInfinity;
  s.blocked_group = first_blocked_group(p);
  if (s.blocked_group >= 0) return s;
  for (size_t k = 0; k < p.limit.size(); ++k) {
    int64_t total = 0;
    for (size_t g = 0; g < p.loss.size(); ++g) total += least_cost(p, k, g);
    s.smallest.push_back(total);
  }
  return s;
}

}  // namespace qtool::search
