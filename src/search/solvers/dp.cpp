// dp: exact for one limit. Dynamic programming over Pareto lists of (cost, loss), costs as exact
// integers, in an expanding core (Pisinger 1995, "A minimal algorithm for the multiple-choice
// knapsack problem"): all groups start at the dual's choice and are opened one by one, those first
// whose alternatives pay almost the dual's price. A state that cannot beat the best assignment,
// even if the unopened groups trade at their best rate, is dropped; when none is left, the best
// assignment is proven.
#include <algorithm>
#include <limits>

#include "search/solvers/records.hpp"
#include "search/start.hpp"

namespace qtool::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kBase = -1;  // a state that leaves the group just opened at the dual's choice

// A set of deviations from the dual's choice.
struct State {
  int64_t cost;  // change against the base
  double loss;   // change against the base
  int trail;     // last deviation in `steps_`, −1 for none
  int item;      // deviation of the group just opened, or kBase
};

struct Step {
  int before;  // index of the deviation before, −1 for none
  int group, item;
};

// What a set of groups can do at best: loss saved per cost spent, loss paid per cost saved.
struct Rates {
  double gain = 0;
  double pay = kInfinity;
};
Rates merge(const Rates& a, const Rates& b) {
  return {std::max(a.gain, b.gain), std::min(a.pay, b.pay)};
}

class Core {
 public:
  Core(const Table& t, const Start& start, size_t max_states)
      : t_(t),
        max_states_(max_states),
        base_(make_assignment(t, start.dual.item)),
        best_(*start.best),
        root_bound_(start.dual.bound),
        price_(start.dual.price[0]),
        slack_(t.limit[0] - base_.cost[0]) {
    order_groups();
  }

  // The proven bound (the optimum's loss unless the list of states outgrew its limit).
  double run() {
    std::vector<State> states{{0, 0.0, -1, kBase}};
    for (size_t n = 0; n < order_.size() && !states.empty(); ++n) {
      check_interrupted();
      states = open(order_[n], states, rest_[n + 1]);
      if (states.size() <= max_states_) continue;
      double bound = best_.loss;
      for (const State& s : states) bound = std::min(bound, bound_of(s, rest_[n + 1]));
      return std::max(bound, root_bound_);
    }
    return best_.loss;
  }

  const Assignment& best() const { return best_; }

 private:
  Rates rates_of(int g) const {
    Rates r;
    const int base = base_.item[g];
    for (int i = t_.begin[g]; i < t_.begin[g + 1]; ++i) {
      const double cost = static_cast<double>(t_.cost_of(i)[0] - t_.cost_of(base)[0]);
      const double loss = t_.loss[i] - t_.loss[base];
      if (cost > 0) r.gain = std::max(r.gain, -loss / cost);
      if (cost < 0) r.pay = std::min(r.pay, loss / -cost);
    }
    return r;
  }

  void order_groups() {
    std::vector<Rates> rates(t_.groups);
    std::vector<double> distance(t_.groups);
    for (int g = 0; g < t_.groups; ++g) {
      rates[g] = rates_of(g);
      // 1 where trading costs just the dual's price, larger the dearer it is.
      const double gain = rates[g].gain > 0 ? price_ / rates[g].gain : kInfinity;
      const double pay = price_ > 0 ? rates[g].pay / price_ : kInfinity;
      distance[g] = std::min(gain, pay);
      if (t_.begin[g + 1] - t_.begin[g] > 1) order_.push_back(g);
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int a, int b) { return distance[a] < distance[b]; });
    rest_.resize(order_.size() + 1);
    for (size_t n = order_.size(); n-- > 0;) rest_[n] = merge(rest_[n + 1], rates[order_[n]]);
  }

  // Least loss that a state can come to when the unopened groups trade at `rest`.
  double bound_of(const State& s, const Rates& rest) const {
    const int64_t room = slack_ - s.cost;
    if (room >= 0) return base_.loss + s.loss - static_cast<double>(room) * rest.gain;
    return base_.loss + s.loss + static_cast<double>(-room) * rest.pay;
  }

  bool can_win(const State& s, const Rates& rest) const {
    return clearly_less(bound_of(s, rest), best_.loss);
  }

  // Deviations of a group that could be part of something better than the best known.
  std::vector<int> worth_opening(int g) const {
    std::vector<int> items;
    const int base = base_.item[g];
    for (int i = t_.begin[g]; i < t_.begin[g + 1]; ++i) {
      const double cost = static_cast<double>(t_.cost_of(i)[0] - t_.cost_of(base)[0]);
      const double reduced = t_.loss[i] - t_.loss[base] + price_ * cost;
      if (i != base && clearly_less(root_bound_ + reduced, best_.loss)) items.push_back(i);
    }
    return items;
  }

  // Merges two lists ascending in cost; keeps the states that no cheaper one equals in loss.
  static std::vector<State> merge_lists(const std::vector<State>& a, const std::vector<State>& b) {
    std::vector<State> out;
    out.reserve(a.size() + b.size());
    auto x = a.begin();
    auto y = b.begin();
    double least = kInfinity;
    while (x != a.end() || y != b.end()) {
      const bool take_x =
          y == b.end() ||
          (x != a.end() && (x->cost < y->cost || (x->cost == y->cost && x->loss <= y->loss)));
      const State& s = take_x ? *x++ : *y++;
      if (s.loss >= least) continue;
      least = s.loss;
      out.push_back(s);
    }
    return out;
  }

  std::vector<State> open(int g, const std::vector<State>& states, const Rates& rest) {
    std::vector<State> all = states;
    for (int item : worth_opening(g)) {
      const int64_t cost = t_.cost_of(item)[0] - t_.cost_of(base_.item[g])[0];
      const double loss = t_.loss[item] - t_.loss[base_.item[g]];
      std::vector<State> moved;
      for (const State& s : states) {
        const State next{s.cost + cost, s.loss + loss, s.trail, item};
        if (can_win(next, rest)) moved.push_back(next);
      }
      all = merge_lists(all, moved);
    }
    note_best(all, g);
    std::erase_if(all, [&](const State& s) { return !can_win(s, rest); });
    for (State& s : all) {
      if (s.item != kBase) {
        steps_.push_back({s.trail, g, s.item});
        s.trail = static_cast<int>(steps_.size()) - 1;
        s.item = kBase;
      }
    }
    return all;
  }

  // Losses fall with cost, so the dearest state that fits is the best complete assignment.
  void note_best(const std::vector<State>& states, int g) {
    auto fits_not = [&](const State& s, int64_t room) { return s.cost <= room; };
    auto end = std::lower_bound(states.begin(), states.end(), slack_, fits_not);
    if (end == states.begin()) return;
    const State& s = *(end - 1);
    if (!clearly_less(base_.loss + s.loss, best_.loss)) return;
    Assignment a = base_;
    if (s.item != kBase) flip(t_, a, g, s.item);
    for (int at = s.trail; at >= 0; at = steps_[at].before) {
      flip(t_, a, steps_[at].group, steps_[at].item);
    }
    best_ = make_assignment(t_, std::move(a.item));
  }

  const Table& t_;
  const size_t max_states_;
  const Assignment base_;
  Assignment best_;
  const double root_bound_, price_;
  const int64_t slack_;
  std::vector<int> order_;   // groups with a choice, nearest to the dual's price first
  std::vector<Rates> rest_;  // [n]: of order_[n], order_[n + 1] …
  std::vector<Step> steps_;
};

Solution solve_dp(const Problem& problem, const SolverOptions& options) {
  const std::optional<Table> table = reduce(problem);
  if (!table) return without_choice(problem, Solution::kInfeasible);
  const Start start = make_start(*table, 20);
  // Without a limit that binds, the dual's choice is the optimum.
  if (table->limits == 0) return finish(problem, *table, start);
  Core core(*table, start, static_cast<size_t>(options.at("states")));
  const double bound = core.run();
  return finish(problem, *table, core.best(), bound);
}

}  // namespace

const SolverDef kDp{
    .name = "dp",
    .summary = "exact for one limit: Pareto lists over integer costs, pruned by the dual's bound",
    .options = {{"states", 500'000, 1, 100'000'000,
                 "most states kept at once; beyond it the gap is reported"}},
    .max_limits = 1,
    .solve = solve_dp,
};

}  // namespace qtool::search
