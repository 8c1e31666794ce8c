// quadratic: losses that interact. With error vectors e and r = loss − ‖e‖², f(x) = ‖Σ e‖² + Σ r is
// minimised by flips of one and two groups from the linear optimum. ‖·‖² is convex, so that at any point z
// f(x) ≥ f(z) + ⟨∇f(z), x − z⟩ over one-hot x: a problem without interactions, whose Lagrangian bound is
// proven for f too. Without errors it is `lagrange`.
#include <algorithm>
#include <cmath>
#include <limits>

#include "search/solvers/records.hpp"
#include "search/start.hpp"

namespace qtool::search {
namespace {

using Vector = std::vector<double>;

class Quadratic {
 public:
  explicit Quadratic(const Problem& p) : p_(p) {
    for (const auto& group : p.error)
      for (const auto& e : group) size_ = std::max(size_, e.size());
  }

  double inner(size_t g, int c, const Vector& sum) const {
    const auto* e = error(g, c);
    double total = 0;
    for (size_t i = 0; e && i < e->size(); ++i) total += (*e)[i] * sum[i];
    return total;
  }
  double square(size_t g, int c) const {
    const auto* e = error(g, c);
    double total = 0;
    for (size_t i = 0; e && i < e->size(); ++i) total += double{(*e)[i]} * (*e)[i];
    return total;
  }
  Vector sum(const std::vector<int>& choice) const {
    Vector total(size_, 0);
    for (size_t g = 0; g < choice.size(); ++g) add(g, choice[g], 1, total);
    return total;
  }
  void add(size_t g, int c, double factor, Vector& to) const {
    const auto* e = error(g, c);
    for (size_t i = 0; e && i < e->size(); ++i) to[i] += factor * (*e)[i];
  }
  double value(const std::vector<int>& choice) const {
    const Vector s = sum(choice);
    double total = 0;
    for (double v : s) total += v * v;
    for (size_t g = 0; g < choice.size(); ++g)
      total += p_.loss[g][static_cast<size_t>(choice[g])] - square(g, choice[g]);
    return total;
  }
  // The problem that supports f from below at the point whose error sum is `at`, and what its losses lack.
  Problem support(const Vector& at, double& constant) const {
    Problem linear = p_;
    linear.error.clear();
    for (size_t g = 0; g < p_.loss.size(); ++g) {
      for (size_t c = 0; c < p_.loss[g].size(); ++c) {
        if (!permitted(p_.loss[g][c])) continue;
        const int choice = static_cast<int>(c);
        linear.loss[g][c] += 2 * inner(g, choice, at) - square(g, choice);
      }
    }
    constant = 0;
    for (double v : at) constant -= v * v;
    return linear;
  }

 private:
  const std::vector<float>* error(size_t g, int c) const {
    if (g >= p_.error.size() || static_cast<size_t>(c) >= p_.error[g].size()) return nullptr;
    return &p_.error[g][static_cast<size_t>(c)];
  }
  const Problem& p_;
  size_t size_ = 0;
};

// Flips of one group, and of two where one alone would break a limit, until none helps.
class Descent {
 public:
  Descent(const Problem& p, const Quadratic& f, std::vector<int> choice)
      : p_(p), f_(f), choice_(std::move(choice)), sum_(f.sum(choice_)), spare_(p.limit) {
    for (size_t k = 0; k < p.limit.size(); ++k)
      for (size_t g = 0; g < choice_.size(); ++g)
        spare_[k] -= p.cost[k][g][static_cast<size_t>(choice_[g])];
  }

  std::vector<int> run(int64_t rounds) {
    while (rounds-- > 0 && best_flip()) check_interrupted();
    return choice_;
  }

 private:
  struct Flip {
    size_t group;
    int choice;
    double change;
  };

  double change(size_t g, int c) const {
    const int old = choice_[g];
    double cross = 0;  // ‖e_c − e_old‖² falls out of the squares and of twice the inner product
    Vector difference(sum_.size(), 0);
    f_.add(g, c, 1, difference);
    f_.add(g, old, -1, difference);
    for (size_t i = 0; i < sum_.size(); ++i) cross += difference[i] * (2 * sum_[i] + difference[i]);
    return cross + p_.loss[g][static_cast<size_t>(c)] - p_.loss[g][static_cast<size_t>(old)] -
           f_.square(g, c) + f_.square(g, old);
  }
  bool fits(const std::vector<Flip>& flips) const {
    for (size_t k = 0; k < spare_.size(); ++k) {
      int64_t more = 0;
      for (const Flip& f : flips)
        more += p_.cost[k][f.group][static_cast<size_t>(f.choice)] -
                p_.cost[k][f.group][static_cast<size_t>(choice_[f.group])];
      if (more > spare_[k]) return false;
    }
    return true;
  }
  double together(const Flip& a, const Flip& b) const {
    Vector difference(sum_.size(), 0);
    f_.add(a.group, a.choice, 1, difference);
    f_.add(a.group, choice_[a.group], -1, difference);
    const double cross =
        f_.inner(b.group, b.choice, difference) - f_.inner(b.group, choice_[b.group], difference);
    return a.change + b.change + 2 * cross;
  }

  bool best_flip() {
    std::vector<Flip> flips;
    for (size_t g = 0; g < choice_.size(); ++g) {
      for (size_t c = 0; c < p_.loss[g].size(); ++c) {
        if (static_cast<int>(c) == choice_[g] || !permitted(p_.loss[g][c])) continue;
        flips.push_back({g, static_cast<int>(c), change(g, static_cast<int>(c))});
      }
    }
    std::stable_sort(flips.begin(), flips.end(),
                     [](const Flip& a, const Flip& b) { return a.change < b.change; });
    double best = 0;
    std::vector<Flip> taken;
    for (const Flip& f : flips) {
      if (f.change < best && fits({f})) best = f.change, taken = {f};
    }
    // A pair needs one flip that helps; the other pays for it.
    for (size_t i = 0; i < flips.size() && flips[i].change < 0; ++i) {
      for (const Flip& other : flips) {
        if (other.group == flips[i].group) continue;
        const double both = together(flips[i], other);
        if (both < best && fits({flips[i], other})) best = both, taken = {flips[i], other};
      }
    }
    double scale = 0;
    for (double v : sum_) scale += v * v;
    if (taken.empty() || best > -1e-12 * scale) return false;
    for (const Flip& f : taken) {
      f_.add(f.group, f.choice, 1, sum_);
      f_.add(f.group, choice_[f.group], -1, sum_);
      for (size_t k = 0; k < spare_.size(); ++k)
        spare_[k] -= p_.cost[k][f.group][static_cast<size_t>(f.choice)] -
                     p_.cost[k][f.group][static_cast<size_t>(choice_[f.group])];
      choice_[f.group] = f.choice;
    }
    return true;
  }

  const Problem& p_;
  const Quadratic& f_;
  std::vector<int> choice_;
  Vector sum_;
  std::vector<int64_t> spare_;  // of each limit
};

Solution linear(const Problem& p, int rounds) {
  const std::optional<Table> table = reduce(p);
  if (!table) return without_choice(p, Solution::kInfeasible);
  return finish(p, *table, make_start(*table, rounds));
}

Solution solve_quadratic(const Problem& problem, const SolverOptions& options) {
  const int rounds = static_cast<int>(options.at("rounds"));
  Solution start = linear(problem, rounds);
  if (problem.error.empty() || start.status == Solution::kInfeasible) return start;
  const Quadratic f(problem);
  double bound = -std::numeric_limits<double>::infinity();
  std::vector<int> best;
  double least = std::numeric_limits<double>::infinity();
  Vector at = f.sum(std::vector<int>(problem.loss.size(), 0));
  if (start.found()) at = f.sum(start.choice);
  // Conditional gradient (Frank and Wolfe 1956): every support's bound counts, every support's optimum is
  // a place to descend from.
  for (int64_t step = 0; step < options.at("supports"); ++step) {
    double constant = 0;
    Problem support = f.support(at, constant);
    const Solution s = step == 0 && start.found() ? start : linear(support, rounds);
    if (step > 0 || !start.found()) bound = std::max(bound, constant + s.bound);
    if (!s.found()) break;
    const std::vector<int> found = Descent(problem, f, s.choice).run(rounds);
    const double value = f.value(found);
    if (value < least) least = value, best = found;
    const Vector towards = f.sum(step == 0 ? found : s.choice);
    const double share = 2.0 / static_cast<double>(step + 2);
    for (size_t i = 0; i < at.size(); ++i) at[i] += share * (towards[i] - at[i]);
  }
  if (best.empty()) return start;
  Solution s = describe(problem, best);
  s.loss = least;
  set_bound(s, std::min(bound, least));
  return s;
}

}  // namespace

const SolverDef kQuadratic{
    .name = "quadratic",
    .summary = "losses that interact (--score interaction): flips of one and two, convex bound",
    .options = {{"supports", 12, 2, 10'000, "supporting problems to solve for the bound"},
                {"rounds", 200, 0, 1'000'000, "most flips in each local search"}},
    .max_limits = -1,
    .solve = solve_quadratic,
};

}  // namespace qtool::search
