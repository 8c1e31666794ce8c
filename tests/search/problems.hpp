// Seeded random problems for the search tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "qtool/search.hpp"

namespace qtool::test {

inline constexpr double kInf = std::numeric_limits<double>::infinity();

struct Shape {
  int groups = 4;
  int choices = 4;  // at most; each group has 1 to `choices`
  int limits = 1;
  bool equal_sizes = false;  // every group has `choices`
};

// Losses fall with cost mostly but not always; some choices are forbidden, some costs are zero,
// negative or tied; limits reach from impossible to not binding.
inline Problem random_problem(uint64_t seed, const Shape& shape) {
  Rng rng(seed);
  Problem p;
  p.cost.resize(shape.limits);
  const bool tied = rng.below(4) == 0, negative = rng.below(4) == 0;
  std::vector<int64_t> low(shape.limits, 0), high(shape.limits, 0);
  for (int g = 0; g < shape.groups; ++g) {
    const int choices =
        shape.equal_sizes ? shape.choices : 1 + static_cast<int>(rng.below(shape.choices));
    const int64_t scale =
        tied ? 1 + static_cast<int64_t>(rng.below(3)) : 1 + static_cast<int64_t>(rng.below(1000));
    p.loss.emplace_back();
    for (int c = 0; c < choices; ++c) {
      double loss = std::pow(0.25, c) * (tied ? 1.0 : 0.5 + rng.uniform());
      if (rng.below(12) == 0) loss = 0;
      if (rng.below(12) == 0 && c > 0) loss = kInf;
      if (negative) loss -= 0.3;
      p.loss.back().push_back(loss);
    }
    for (int k = 0; k < shape.limits; ++k) {
      p.cost[k].emplace_back();
      for (int c = 0; c < choices; ++c) {
        int64_t cost = scale * (k == 0 ? c + 1 : static_cast<int64_t>(rng.below(6)));
        if (rng.below(10) == 0) cost = 0;
        if (negative) cost -= 2 * scale;
        p.cost[k].back().push_back(cost);
      }
      const auto [least, most] =
          std::minmax_element(p.cost[k].back().begin(), p.cost[k].back().end());
      low[k] += *least;
      high[k] += *most;
    }
  }
  for (int k = 0; k < shape.limits; ++k) {
    const double share = -0.05 + 1.1 * rng.uniform();
    p.limit.push_back(
        low[k] + static_cast<int64_t>(std::floor(share * static_cast<double>(high[k] - low[k]))));
  }
  return p;
}

// Groups of a network: weights × activation widths, losses by the usual 4^-bits, three limits.
inline Problem network_problem(uint64_t seed, int groups, int limits) {
  Rng rng(seed);
  Problem p;
  p.cost.assign(limits, {});
  std::vector<int64_t> low(limits, 0), high(limits, 0);
  for (int g = 0; g < groups; ++g) {
    const auto weights = static_cast<int64_t>(std::exp(6 + 9 * rng.uniform()));
    const auto macs = weights * (1 + static_cast<int64_t>(rng.below(3000)));
    const auto elements = 1000 + static_cast<int64_t>(rng.below(800000));
    const double of_weights = std::exp(-6 + 4 * rng.uniform()),
                 of_inputs = std::exp(-7 + 4 * rng.uniform());
    p.loss.emplace_back();
    std::vector<std::vector<int64_t>> cost(limits);
    for (int w = 2; w <= 5; ++w) {
      for (int a = 4; a <= 8; a += 2) {
        p.loss.back().push_back(of_weights * std::pow(0.25, w - 2) * (0.7 + 0.6 * rng.uniform()) +
                                of_inputs * std::pow(0.25, a - 4) * (0.7 + 0.6 * rng.uniform()));
        const int64_t all[] = {weights * w, macs * w * a, elements * a};
        for (int k = 0; k < limits; ++k) cost[k].push_back(all[k]);
      }
    }
    for (int k = 0; k < limits; ++k) {
      low[k] += *std::min_element(cost[k].begin(), cost[k].end());
      high[k] += *std::max_element(cost[k].begin(), cost[k].end());
      p.cost[k].push_back(std::move(cost[k]));
    }
  }
  for (int k = 0; k < limits; ++k) p.limit.push_back(low[k] + (high[k] - low[k]) * (3 + k) / 10);
  return p;
}

// Thousands of filters: one limit (code bits), `choices` widths each, sizes shared within layers.
inline Problem filter_problem(uint64_t seed, int groups, int choices) {
  Rng rng(seed);
  Problem p;
  p.cost.resize(1);
  int64_t low = 0, high = 0, size = 0;
  for (int g = 0; g < groups; ++g) {
    if (g % 256 == 0) size = 9 * (16 + static_cast<int64_t>(rng.below(500)));
    const double sensitivity = std::exp(-8 * rng.uniform());
    p.loss.emplace_back();
    p.cost[0].emplace_back();
    for (int c = 0; c < choices; ++c) {
      p.loss.back().push_back(sensitivity * std::pow(0.25, c) * (0.8 + 0.4 * rng.uniform()));
      p.cost[0].back().push_back(size * (c + 2));
    }
    low += size * 2;
    high += size * (choices + 1);
  }
  p.limit = {low + (high - low) / 4};
  return p;
}

}  // namespace qtool::test
