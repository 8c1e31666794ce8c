// branch-and-bound: any number of limits. Label setting first, which proves the best plan of most
// networks; where it has to drop labels, a best-first search follows, whose bounds are Lagrangian: at
// every node a few subgradient steps (Polyak 1969) move the parent's prices; a group on which the steps
// disagree most is split in two by priced cost, so that both halves change the bound. Stops after
// a fixed amount of work with the bound that is proven by then.
#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

#include "search/labels.hpp"
#include "search/primal.hpp"
#include "search/solvers/records.hpp"
#include "search/start.hpp"

namespace qtool::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kAscentSteps = 16;
// Every node's assignment is repaired and filled; local search follows at one node in so many.
constexpr int kImproveEvery = 16;
// Repair and filling take about as long as pricing every item so many times.
constexpr int kPolishWork = 8;
// Of all work, the parts that labels, whose bounds come cheap, and then the search may take.
constexpr int kLabelPart = 25, kSearchPart = 4;

// Losses from here on are of no use: the best known, or above all possible ones.
double first_ceiling(const Table& t, const Start& start) {
  return start.best ? start.best->loss : t.loss_ceiling * (1 + 1e-9) + 1e-300;
}

// The items that can be part of something below `ceiling`, each group's ascending in priced cost.
Table compact(const Table& t, const Start& start, double ceiling) {
  const std::vector<double>& price = start.dual.price;
  auto paid = [&](int item) {
    double sum = 0;
    for (int k = 0; k < t.limits; ++k) sum += price[k] * static_cast<double>(t.cost_of(item)[k]);
    return sum;
  };
  const std::vector<int> cheapest = relax(t, all_items(t), price).assignment.item;
  Table out = t;
  out.choice.clear(), out.loss.clear(), out.cost.clear();
  out.begin.assign(1, 0);
  for (int g = 0; g < t.groups; ++g) {
    const double least = t.loss[cheapest[g]] + paid(cheapest[g]);
    std::vector<int> items;
    for (int i = t.begin[g]; i < t.begin[g + 1]; ++i) {
      const double reduced = t.loss[i] + paid(i) - least;
      if (i == cheapest[g] || clearly_less(start.dual.bound + reduced, ceiling)) items.push_back(i);
    }
    std::stable_sort(items.begin(), items.end(), [&](int a, int b) { return paid(a) < paid(b); });
    for (int i : items) {
      out.choice.push_back(t.choice[i]);
      out.loss.push_back(t.loss[i]);
      out.cost.insert(out.cost.end(), t.cost_of(i), t.cost_of(i) + t.limits);
    }
    out.begin.push_back(out.items());
  }
  return out;
}

struct Node {
  int parent;
  int group, low, high;  // the one range that differs from the parent's
  double bound;
  std::vector<double> price;  // best of the parent
};

class Search {
 public:
  // Looks for losses below `ceiling`.
  Search(const Table& t, const Start& start, double ceiling, int64_t work)
      : t_(t), ceiling_(ceiling), work_left_(work) {
    for (int64_t limit : t.limit)
      scale_.push_back(1 / static_cast<double>(std::max<int64_t>(limit, 1)));
    push({-1, -1, 0, 0, start.dual.bound, start.dual.price});
  }

  // The proven bound; at least `ceiling()` when the search is complete.
  double run() {
    for (int64_t count = 0; !open_.empty(); ++count) {
      check_interrupted();
      const auto [bound, index] = open_.top();
      if (!clearly_less(bound, ceiling())) return ceiling();
      if (work_left_ <= 0) return bound;
      open_.pop();
      visit(index, count % kImproveEvery == 0);
    }
    return ceiling();
  }

  const std::optional<Assignment>& best() const { return best_; }
  // Losses from here on are of no use.
  double ceiling() const { return best_ ? best_->loss : ceiling_; }

 private:
  // What the subgradient steps at one node saw.
  struct Ascent {
    double bound = -kInfinity;
    std::vector<double> price;  // of `bound`
    std::vector<int> item;      // of `bound`
    std::vector<int> times;     // [item]: how often it was cheapest
  };

  void push(Node node) {
    nodes_.push_back(std::move(node));
    open_.push({nodes_.back().bound, static_cast<int>(nodes_.size()) - 1});
  }

  Ranges ranges_of(int index) const {
    Ranges r = all_items(t_);
    for (int at = index; at >= 0; at = nodes_[at].parent) {
      const Node& n = nodes_[at];
      if (n.group < 0) continue;
      r.low[n.group] = std::max(r.low[n.group], n.low);
      r.high[n.group] = std::min(r.high[n.group], n.high);
    }
    return r;
  }

  void note(const Assignment& a) {
    if (fits(t_, a.cost) && clearly_less(a.loss, ceiling())) best_ = make_assignment(t_, a.item);
  }

  bool reachable(const Ranges& r) const {
    for (int k = 0; k < t_.limits; ++k) {
      int64_t least = 0;
      for (int g = 0; g < t_.groups; ++g) {
        int64_t low = t_.cost_of(r.low[g])[k];
        for (int i = r.low[g] + 1; i < r.high[g]; ++i) low = std::min(low, t_.cost_of(i)[k]);
        least += low;
      }
      if (least > t_.limit[k]) return false;
    }
    return true;
  }

  // Moves scaled prices along the excess of each limit; false when no limit pulls any more.
  bool step(const Relaxed& r, double theta, std::vector<double>& price) const {
    std::vector<double> pull(t_.limits);
    double norm = 0;
    for (int k = 0; k < t_.limits; ++k) {
      pull[k] = static_cast<double>(r.assignment.cost[k] - t_.limit[k]) * scale_[k];
      if (price[k] <= 0 && pull[k] < 0) pull[k] = 0;
      norm += pull[k] * pull[k];
    }
    if (!(norm > 0)) return false;
    const double length = theta * std::max(ceiling() - r.bound, 0.0) / norm;
    for (int k = 0; k < t_.limits; ++k) {
      price[k] = std::max(price[k] + length * pull[k] * scale_[k], 0.0);
    }
    return true;
  }

  Ascent ascend(const Ranges& ranges, std::vector<double> price) {
    Ascent a;
    a.times.assign(t_.items(), 0);
    double theta = 1;
    for (int n = 0; n < kAscentSteps; ++n) {
      work_left_ -= t_.items();
      const Relaxed r = relax(t_, ranges, price);
      for (int item : r.assignment.item) ++a.times[item];
      note(r.assignment);
      if (r.bound > a.bound) {
        a.bound = r.bound, a.price = price, a.item = r.assignment.item;
      } else {
        theta /= 2;
      }
      if (!clearly_less(a.bound, ceiling()) || !step(r, theta, price)) break;
    }
    return a;
  }

  void visit(int index, bool improve_too) {
    const Ranges ranges = ranges_of(index);
    if (!reachable(ranges)) return;
    const Ascent a = ascend(ranges, nodes_[index].price);
    if (!clearly_less(a.bound, ceiling())) return;
    work_left_ -= kPolishWork * t_.items();
    if (auto polished = polish(t_, a.price, improve_too ? 20 : 0, make_assignment(t_, a.item))) {
      note(*polished);
    }
    split(index, ranges, a);
  }

  // The group on which the ascent's assignments agree least; without disagreement the one with
  // most items left, −1 when each has one.
  int group_to_split(const Ranges& ranges, const Ascent& a) const {
    int best = -1, least_agreement = std::numeric_limits<int>::max(), widest = 1;
    for (int g = 0; g < t_.groups; ++g) {
      const int width = ranges.high[g] - ranges.low[g];
      if (width < 2) continue;
      const int agreement =
          *std::max_element(a.times.begin() + ranges.low[g], a.times.begin() + ranges.high[g]);
      if (agreement < least_agreement || (agreement == least_agreement && width > widest)) {
        best = g, least_agreement = agreement, widest = width;
      }
    }
    return best;
  }

  void split(int index, const Ranges& ranges, const Ascent& a) {
    const int g = group_to_split(ranges, a);
    if (g < 0) {
      note(make_assignment(t_, ranges.low));
      return;
    }
    const int low = ranges.low[g], high = ranges.high[g];
    double seen = 0, place = 0;
    for (int i = low; i < high; ++i)
      seen += a.times[i], place += static_cast<double>(a.times[i]) * i;
    const int middle =
        std::clamp(static_cast<int>(std::floor(place / seen)) + 1, low + 1, high - 1);
    push_child(index, g, low, middle, ranges, a);
    push_child(index, g, middle, high, ranges, a);
  }

  void push_child(int parent, int g, int low, int high, const Ranges& ranges, const Ascent& a) {
    auto least = [&](int from, int to) {
      double best = kInfinity;
      for (int i = from; i < to; ++i) {
        double value = t_.loss[i];
        for (int k = 0; k < t_.limits; ++k)
          value += a.price[k] * static_cast<double>(t_.cost_of(i)[k]);
        best = std::min(best, value);
      }
      return best;
    };
    const double bound = a.bound + least(low, high) - least(ranges.low[g], ranges.high[g]);
    if (clearly_less(bound, ceiling())) push({parent, g, low, high, bound, a.price});
  }

  using Open = std::pair<double, int>;
  const Table& t_;
  const double ceiling_;
  std::optional<Assignment> best_;
  int64_t work_left_;
  std::vector<double> scale_;
  std::vector<Node> nodes_;
  std::priority_queue<Open, std::vector<Open>, std::greater<>> open_;  // least bound, then oldest
};

Solution solve_branch_and_bound(const Problem& problem, const SolverOptions& options) {
  const std::optional<Table> full = reduce(problem);
  if (!full) return without_choice(problem, Solution::kInfeasible);
  const Start start = make_start(*full, 100);
  if (full->limits == 0 || start.dual.excluded) return finish(problem, *full, start);
  if (start.best && !clearly_less(start.dual.bound, start.best->loss)) {
    return finish(problem, *full, start);
  }
  const double ceiling = first_ceiling(*full, start);
  const Table table = compact(*full, start, ceiling);
  const int64_t work = options.at("work") * 1'000'000;
  const Labelled labelled = search_labels(table, start.dual.price, ceiling, work / kLabelPart);
  const double below = labelled.best ? labelled.best->loss : ceiling;
  if (labelled.best && !clearly_less(labelled.bound, below))
    return finish(problem, table, *labelled.best, labelled.bound);
  Search search(table, start, below, work / kSearchPart);
  const double bound = std::max(search.run(), labelled.bound);
  if (search.best()) return finish(problem, table, *search.best(), bound);
  if (labelled.best) return finish(problem, table, *labelled.best, bound);
  if (start.best) return finish(problem, *full, *start.best, bound);
  if (bound >= ceiling) return without_choice(problem, Solution::kInfeasible);
  Solution s = without_choice(problem, Solution::kUnknown);
  s.bound = table.loss_offset + bound;
  return s;
}

}  // namespace

const SolverDef kBranchAndBound{
    .name = "branch-and-bound",
    .summary = "several limits: Lagrangian bounds, best first, stops with a proven gap",
    .options = {{"work", 20, 0, 1'000'000, "most choices to price, in millions"}},
    .max_limits = -1,
    .solve = solve_branch_and_bound,
};

}  // namespace qtool::search
