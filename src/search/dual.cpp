#include "search/dual.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qtool::search {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

double priced(const Table& t, int item, const std::vector<double>& price) {
  double value = t.loss[item];
  const int64_t* cost = t.cost_of(item);
  for (int k = 0; k < t.limits; ++k) value += price[k] * static_cast<double>(cost[k]);
  return value;
}

// The cheapest assignment when only limit k counts and costs nothing else: the least cost, then
// the least loss.
Assignment thriftiest(const Table& t, int k) {
  std::vector<int> item(t.groups);
  for (int g = 0; g < t.groups; ++g) {
    int best = t.begin[g];
    for (int i = best + 1; i < t.begin[g + 1]; ++i) {
      const int64_t a = t.cost_of(i)[k], b = t.cost_of(best)[k];
      if (a < b || (a == b && t.loss[i] < t.loss[best])) best = i;
    }
    item[g] = best;
  }
  return make_assignment(t, std::move(item));
}

// Best price of limit k when the others are ignored. `over` is cheapest at a price that is too low
// (it breaks the limit), `under` at one that is too high; a secant step takes the price at which
// both are equally good, so either a better assignment shows there or the dual is solved.
Dual solve_one(const Table& t, int k) {
  std::vector<double> price(t.limits, 0.0);
  const Ranges ranges = all_items(t);
  Relaxed at = relax(t, ranges, price);
  Dual best{price, at.bound, at.assignment.item};
  if (at.assignment.cost[k] <= t.limit[k]) return best;
  Assignment over = at.assignment, under = thriftiest(t, k);
  double low = 0, high = std::numeric_limits<double>::infinity();
  for (int step = 0; step < 1000; ++step) {
    const bool halve = step > 40 && step % 2 == 1 && high < 1e300;
    price[k] = halve ? (low > 0 ? std::sqrt(low) * std::sqrt(high) : high / 2)
                     : (under.loss - over.loss) / static_cast<double>(over.cost[k] - under.cost[k]);
    if (!(price[k] >= 0)) price[k] = 0;
    at = relax(t, ranges, price);
    best.bound = std::max(best.bound, at.bound);
    const Assignment& a = at.assignment;
    const double line = under.loss + price[k] * static_cast<double>(under.cost[k]);
    const double value = a.loss + price[k] * static_cast<double>(a.cost[k]);
    const bool nothing_new =
        a.cost[k] == over.cost[k] || a.cost[k] == under.cost[k] || !clearly_less(value, line);
    if (nothing_new && !halve) break;
    (a.cost[k] <= t.limit[k] ? under : over) = a;
    (a.cost[k] <= t.limit[k] ? high : low) = price[k];
  }
  best.price = price;
  best.item = under.item;
  return best;
}

// Ellipsoid {x : (x − centre)ᵀ shape⁻¹ (x − centre) ≤ 1} that holds the best scaled prices.
struct Ellipsoid {
  std::vector<double> centre;
  std::vector<std::vector<double>> shape;

  explicit Ellipsoid(const std::vector<double>& box)
      : centre(box.size()), shape(box.size(), std::vector<double>(box.size(), 0.0)) {
    const double n = static_cast<double>(box.size());
    for (size_t k = 0; k < box.size(); ++k) {
      centre[k] = box[k] / 2;
      shape[k][k] = n * box[k] * box[k] / 4;
    }
  }

  // Half width along `g`.
  double width(const std::vector<double>& g) const {
    double sum = 0;
    for (size_t a = 0; a < g.size(); ++a) {
      for (size_t b = 0; b < g.size(); ++b) sum += g[a] * shape[a][b] * g[b];
    }
    return std::sqrt(std::max(sum, 0.0));
  }

  // Keeps the part where gᵀ(x − centre) ≥ depth; false when nothing is left (Bland, Goldfarb and
  // Todd 1981, deep cuts; n ≥ 2).
  bool cut(const std::vector<double>& g, double depth) {
    const double w = width(g), n = static_cast<double>(g.size());
    if (!(w > 0) || depth >= w) return false;
    const double alpha = std::max(depth / w, 0.0);
    std::vector<double> step(g.size(), 0.0);
    for (size_t a = 0; a < g.size(); ++a) {
      for (size_t b = 0; b < g.size(); ++b) step[a] += shape[a][b] * g[b] / w;
    }
    const double tau = (1 + n * alpha) / (n + 1);
    const double sigma = 2 * tau / (1 + alpha);
    const double delta = n * n * (1 - alpha * alpha) / (n * n - 1);
    for (size_t a = 0; a < g.size(); ++a) {
      centre[a] += tau * step[a];
      for (size_t b = 0; b < g.size(); ++b) {
        shape[a][b] = delta * (shape[a][b] - sigma * step[a] * step[b]);
      }
    }
    return true;
  }
};

// Prices are scaled so that 1 is one unit of loss per whole limit.
class SeveralLimits {
 public:
  SeveralLimits(const Table& t, const OnFit& on_fit)
      : t_(t), ranges_(all_items(t)), on_fit_(on_fit), box_(t.limits) {
    for (int64_t limit : t.limit)
      scale_.push_back(1 / static_cast<double>(std::max<int64_t>(limit, 1)));
    double largest = 0;
    for (int k = 0; k < t.limits; ++k) {
      const Dual one = solve_one(t, k);
      consider(one.price);
      box_[k] = 2 * one.price[k] / scale_[k];
      largest = std::max(largest, box_[k]);
    }
    const double floor = largest > 0 ? largest / 100 : std::max(t.loss_ceiling, 1e-100);
    for (double& b : box_) b = std::max(b, floor);
  }

  Dual run() {
    // Prices can need more than each limit asks alone: grow the box while the best lies at its rim.
    for (int round = 0; round < 24; ++round) {
      search_box();
      if (best_.bound > t_.loss_ceiling * (1 + 1e-9)) {
        best_.excluded = true;
        break;
      }
      bool at_rim = false;
      for (int k = 0; k < t_.limits; ++k) {
        if (best_.price[k] / scale_[k] < 0.9 * box_[k]) continue;
        at_rim = true;
        box_[k] *= 8;
      }
      if (!at_rim) break;
    }
    return best_;
  }

 private:
  Relaxed consider(const std::vector<double>& price) {
    Relaxed r = relax(t_, ranges_, price);
    if (best_.item.empty() || r.bound > best_.bound) {
      best_.bound = r.bound;
      best_.price = price;
      best_.item = r.assignment.item;
    }
    if (fits(t_, r.assignment.cost)) on_fit_(r.assignment);
    return r;
  }

  void search_box() {
    Ellipsoid e(box_);
    const int steps = 200 * t_.limits;
    for (int step = 0; step < steps; ++step) {
      std::vector<double> g(t_.limits, 0.0);
      const auto lowest = std::min_element(e.centre.begin(), e.centre.end());
      if (*lowest < 0) {
        g[lowest - e.centre.begin()] = 1;
        if (!e.cut(g, -*lowest)) return;
        continue;
      }
      std::vector<double> price(t_.limits);
      for (int k = 0; k < t_.limits; ++k) price[k] = e.centre[k] * scale_[k];
      const Relaxed r = consider(price);
      for (int k = 0; k < t_.limits; ++k) {
        g[k] = static_cast<double>(r.assignment.cost[k] - t_.limit[k]) * scale_[k];
      }
      // No price within the ellipsoid can lift the bound by more than its half width along g.
      if (e.width(g) <= 1e-7 * std::abs(best_.bound)) return;
      if (!e.cut(g, best_.bound - r.bound)) return;
    }
  }

  const Table& t_;
  const Ranges ranges_;
  const OnFit& on_fit_;
  std::vector<double> scale_, box_;
  Dual best_;
};

}  // namespace

Ranges all_items(const Table& t) {
  return {{t.begin.begin(), t.begin.end() - 1}, {t.begin.begin() + 1, t.begin.end()}};
}

Relaxed relax(const Table& t, const Ranges& ranges, const std::vector<double>& price) {
  double total = 0, refund = 0;
  std::vector<int> item(t.groups);
  for (int g = 0; g < t.groups; ++g) {
    int best = ranges.low[g];
    double least = priced(t, best, price);
    for (int i = best + 1; i < ranges.high[g]; ++i) {
      const double value = priced(t, i, price);
      if (value < least) least = value, best = i;
    }
    item[g] = best;
    total += least;
  }
  for (int k = 0; k < t.limits; ++k) refund += price[k] * static_cast<double>(t.limit[k]);
  // The sum of n non-negative numbers is off by less than n·ε of itself (Higham 2002, 4.2).
  const double rounding = (t.groups + 2.0 * t.limits + 4) * kEpsilon * (total + refund);
  return {total - refund - rounding, make_assignment(t, std::move(item))};
}

Dual solve_dual(const Table& t, const OnFit& on_fit) {
  if (t.limits == 0) {
    Relaxed r = relax(t, all_items(t), {});
    on_fit(r.assignment);
    return {{}, r.bound, r.assignment.item};
  }
  if (t.limits > 1) return SeveralLimits(t, on_fit).run();
  Dual dual = solve_one(t, 0);
  on_fit(make_assignment(t, dual.item));
  return dual;
}

}  // namespace qtool::search
