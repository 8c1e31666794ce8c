// cq: the threshold search of "Class-based Quantization for Neural Networks" (arXiv 2211.14928), a
// baseline. Groups stand in one row by importance; thresholds between neighbouring choices cut the row,
// so that who matters more gets the higher choice (choices ascend in width). All groups start at the
// highest. 1: the lowest threshold is raised until the measured quality falls under `target`, the next
// until it falls under `decay` of that, and so on. 2: from the highest threshold down, they are raised
// until the limits hold.
// What the paper leaves open: a threshold's place is found by bisection, as quality falls along the row;
// what the limits leave is spent by lowering thresholds, the lowest first; without a measured quality
// step 1 is left out.
#include <algorithm>
#include <numeric>

#include "search/dual.hpp"
#include "search/solvers/records.hpp"

namespace qtool::search {
namespace {

class Thresholds {
 public:
  explicit Thresholds(const Problem& p) : p_(p), order_(p.loss.size()) {
    size_t levels = 1;
    for (const auto& group : p.loss) levels = std::max(levels, group.size());
    cuts_.assign(levels - 1, 0);
    std::vector<double> importance = p.importance;
    if (importance.empty()) {
      for (size_t g = 0; g < p.loss.size(); ++g)
        importance.push_back(p.loss[g][static_cast<size_t>(permitted_near(g, 0))]);
    }
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](size_t a, size_t b) { return importance[a] < importance[b]; });
  }

  void raise_while_good(int64_t target_percent, int64_t decay_percent) {
    if (!p_.quality) return;
    double target = static_cast<double>(target_percent) / 100;
    for (size_t k = 0; k < cuts_.size(); ++k) {
      const size_t low = k > 0 ? cuts_[k - 1] : 0;
      // The last place whose quality is still at least the target.
      set(k, last_place(low, order_.size(), [&](size_t at) {
            set(k, at);
            return p_.quality(choice()) >= target;
          }));
      target *= static_cast<double>(decay_percent) / 100;
    }
  }

  void squeeze() {
    for (size_t k = cuts_.size(); k-- > 0 && !fits();) {
      const size_t begin = cuts_[k];
      // The last place that is still too dear; the one behind it, if there is one, fits.
      const size_t dear = last_place(begin, order_.size(), [&](size_t at) {
        cuts_[k] = at;
        return !fits();
      });
      cuts_[k] = std::min(dear + 1, order_.size());
    }
  }

  void spend() {
    if (!fits()) return;
    for (size_t k = 0; k < cuts_.size(); ++k) {
      const size_t low = k > 0 ? cuts_[k - 1] : 0, high = cuts_[k];
      const size_t saved = last_place(0, high - low, [&](size_t down) {
        cuts_[k] = high - down;
        return fits();
      });
      cuts_[k] = high - saved;
    }
  }

  bool fits() const {
    const std::vector<int> now = choice();
    for (size_t k = 0; k < p_.limit.size(); ++k) {
      int64_t total = 0;
      for (size_t g = 0; g < now.size(); ++g) total += p_.cost[k][g][static_cast<size_t>(now[g])];
      if (total > p_.limit[k]) return false;
    }
    return true;
  }

  std::vector<int> choice() const {
    std::vector<int> chosen(order_.size());
    int level = 0;
    for (size_t i = 0; i < order_.size(); ++i) {
      while (static_cast<size_t>(level) < cuts_.size() && cuts_[static_cast<size_t>(level)] <= i)
        ++level;
      chosen[order_[i]] = permitted_near(order_[i], level);
    }
    return chosen;
  }

 private:
  // Thresholds never cross: those above come along.
  void set(size_t k, size_t at) {
    for (size_t j = k; j < cuts_.size(); ++j) cuts_[j] = at;
  }

  // The greatest i in [low, high] for which `holds`, or low; `holds` is true up to some i.
  template <typename Holds>
  static size_t last_place(size_t low, size_t high, Holds holds) {
    while (low < high) {
      check_interrupted();
      const size_t middle = (low + high + 1) / 2;
      if (holds(middle))
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }

  int permitted_near(size_t g, int level) const {
    const int n = static_cast<int>(p_.loss[g].size());
    for (int c = std::min(level, n - 1); c < n; ++c)
      if (permitted(p_.loss[g][static_cast<size_t>(c)])) return c;
    for (int c = std::min(level, n - 1); c-- > 0;)
      if (permitted(p_.loss[g][static_cast<size_t>(c)])) return c;
    return 0;
  }

  const Problem& p_;
  std::vector<size_t> order_;  // groups by importance
  std::vector<size_t> cuts_;   // [k]: groups from here on have a choice above k
};

Solution solve_cq(const Problem& problem, const SolverOptions& options) {
  const std::optional<Table> table = reduce(problem);
  if (!table) return without_choice(problem, Solution::kInfeasible);
  const Dual dual = solve_dual(*table, [](const Assignment&) {});
  if (dual.excluded) return without_choice(problem, Solution::kInfeasible);
  Thresholds thresholds(problem);
  thresholds.raise_while_good(options.at("target"), options.at("decay"));
  thresholds.squeeze();
  thresholds.spend();
  if (!thresholds.fits()) {
    Solution s = without_choice(problem, Solution::kUnknown);
    s.bound = table->loss_offset + dual.bound;
    return s;
  }
  Solution s = describe(problem, thresholds.choice());
  set_bound(s, table->loss_offset + dual.bound);
  return s;
}

}  // namespace

const SolverDef kCq{
    .name = "cq",
    .summary = "thresholds over importance as published (arXiv 2211.14928); a baseline",
    .options = {{"target", 50, 0, 100, "quality under which the lowest threshold stops, percent"},
                {"decay", 80, 0, 100, "the next threshold's quality, percent of the one before"}},
    .max_limits = -1,
    .solve = solve_cq,
};

}  // namespace qtool::search
