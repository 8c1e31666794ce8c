#include "search/primal.hpp"

#include <algorithm>
#include <limits>

namespace qtool::search {
namespace {

// Pairs are searched among this many flips: the square is the work of a round.
constexpr size_t kPairFlips = 300;

struct Flip {
  double rank;  // ascending: first is tried first
  int group;
  int item;
  bool operator<(const Flip& other) const {
    if (rank != other.rank) return rank < other.rank;
    return group != other.group ? group < other.group : item < other.item;
  }
};

double price_change(const Table& t, const std::vector<double>& price, int from, int to) {
  double sum = 0;
  for (int k = 0; k < t.limits; ++k) {
    sum += price[k] * static_cast<double>(t.cost_of(to)[k] - t.cost_of(from)[k]);
  }
  return sum;
}

// Sum over limits of the share by which costs (with `to` in place of `from`) exceed them.
double violation(const Table& t, const Assignment& a, int from, int to) {
  double sum = 0;
  for (int k = 0; k < t.limits; ++k) {
    const int64_t over = a.cost[k] + t.cost_of(to)[k] - t.cost_of(from)[k] - t.limit[k];
    if (over > 0)
      sum += static_cast<double>(over) / static_cast<double>(std::max<int64_t>(t.limit[k], 1));
  }
  return sum;
}

bool flip_fits(const Table& t, const Assignment& a, int from, int to) {
  for (int k = 0; k < t.limits; ++k) {
    if (a.cost[k] + t.cost_of(to)[k] - t.cost_of(from)[k] > t.limit[k]) return false;
  }
  return true;
}

// All flips with their rank; `rank_of(from, to)` returns infinity for flips to leave out.
template <typename RankOf>
std::vector<Flip> list_flips(const Table& t, const Assignment& a, RankOf rank_of) {
  std::vector<Flip> flips;
  for (int g = 0; g < t.groups; ++g) {
    for (int i = t.begin[g]; i < t.begin[g + 1]; ++i) {
      if (i == a.item[g]) continue;
      const double rank = rank_of(a.item[g], i);
      if (rank < std::numeric_limits<double>::infinity()) flips.push_back({rank, g, i});
    }
  }
  return flips;
}

template <typename RankOf>
std::vector<Flip> ranked_flips(const Table& t, const Assignment& a, RankOf rank_of) {
  std::vector<Flip> flips = list_flips(t, a, rank_of);
  std::sort(flips.begin(), flips.end());
  return flips;
}

struct Move {
  double gain = 0;  // change of loss; negative is better
  Flip first{}, second{};
  bool pair = false;
};

double gain_of(const Table& t, const Assignment& a, const Flip& f) {
  return t.loss[f.item] - t.loss[a.item[f.group]];
}

bool pair_fits(const Table& t, const Assignment& a, const Flip& x, const Flip& y) {
  for (int k = 0; k < t.limits; ++k) {
    const int64_t dx = t.cost_of(x.item)[k] - t.cost_of(a.item[x.group])[k];
    const int64_t dy = t.cost_of(y.item)[k] - t.cost_of(a.item[y.group])[k];
    if (a.cost[k] + dx + dy > t.limit[k]) return false;
  }
  return true;
}

// Takes the flips in any order; pairs are tried among the kPairFlips of lowest rank.
Move best_move(const Table& t, const Assignment& a, std::vector<Flip> flips) {
  Move best;
  for (const Flip& f : flips) {
    const double gain = gain_of(t, a, f);
    if (gain < best.gain && flip_fits(t, a, a.item[f.group], f.item)) best = {gain, f, {}, false};
  }
  const size_t core = std::min(flips.size(), kPairFlips);
  std::nth_element(flips.begin(), flips.begin() + core, flips.end());
  std::sort(flips.begin(), flips.begin() + core);
  for (size_t x = 0; x < core; ++x) {
    const double gain_x = gain_of(t, a, flips[x]);
    for (size_t y = x + 1; y < core; ++y) {
      const double gain = gain_x + gain_of(t, a, flips[y]);
      if (gain >= best.gain || flips[x].group == flips[y].group) continue;
      if (pair_fits(t, a, flips[x], flips[y])) best = {gain, flips[x], flips[y], true};
    }
  }
  return best;
}

}  // namespace

bool repair(const Table& t, const std::vector<double>& price, Assignment& a) {
  while (!fits(t, a.cost)) {
    const double before = violation(t, a, a.item[0], a.item[0]);
    auto rank = [&](int from, int to) {
      const double less = before - violation(t, a, from, to);
      if (!(less > 0)) return std::numeric_limits<double>::infinity();
      return (t.loss[to] - t.loss[from] + price_change(t, price, from, to)) / less;
    };
    double now = before;
    for (const Flip& f : ranked_flips(t, a, rank)) {
      const double next = violation(t, a, a.item[f.group], f.item);
      if (next >= now) continue;
      flip(t, a, f.group, f.item);
      now = next;
      if (now == 0) break;
    }
    if (now >= before) return false;
  }
  return true;
}

void fill(const Table& t, const std::vector<double>& price, Assignment& a) {
  for (bool changed = true; changed;) {
    changed = false;
    auto rank = [&](int from, int to) {
      const double gain = t.loss[to] - t.loss[from];
      if (gain >= 0) return std::numeric_limits<double>::infinity();
      const double paid = price_change(t, price, from, to);
      return paid > 0 ? gain / paid : -std::numeric_limits<double>::max();
    };
    for (const Flip& f : ranked_flips(t, a, rank)) {
      const int from = a.item[f.group];
      if (t.loss[f.item] >= t.loss[from] || !flip_fits(t, a, from, f.item)) continue;
      flip(t, a, f.group, f.item);
      changed = true;
    }
  }
}

void improve(const Table& t, const std::vector<double>& price, int rounds, Assignment& a) {
  for (int round = 0; round < rounds; ++round) {
    auto reduced_loss = [&](int from, int to) {
      return t.loss[to] - t.loss[from] + price_change(t, price, from, to);
    };
    const Move move = best_move(t, a, list_flips(t, a, reduced_loss));
    if (!clearly_less(a.loss + move.gain, a.loss)) return;
    flip(t, a, move.first.group, move.first.item);
    if (move.pair) flip(t, a, move.second.group, move.second.item);
  }
}

}  // namespace qtool::search
