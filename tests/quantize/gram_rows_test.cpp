#include "quantize/optimizers/gram_rows.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quantize/fit/linear_algebra.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

using namespace qdq;

// A row and a Gram matrix of correlated inputs.
struct Problem {
  std::vector<float> target, gram, factor;
  RowsProblem problem;

  Problem(int64_t columns, int bits, uint64_t seed, int64_t block = 0) {
    Rng rng(seed);
    const auto n = static_cast<size_t>(columns);
    std::vector<float> x(4 * n * n);
    gram.assign(n * n, 0.f);
    for (size_t m = 0; m < 4 * n; ++m) {
      const double common = rng.normal();
      for (size_t j = 0; j < n; ++j) x[m * n + j] = static_cast<float>(rng.normal() + common);
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j)
          gram[i * n + j] += x[m * n + i] * x[m * n + j] / static_cast<float>(4 * n);
      }
    }
    for (size_t j = 0; j < n; ++j) target.push_back(static_cast<float>(rng.normal()));
    factor = cholesky(gram, columns, 1e-3f);
    problem.targets = target;
    problem.gram = gram;
    problem.factor = factor;
    problem.ridge = 1e-3f;
    RowGrid grid;
    grid.lowest = -(1 << (bits - 1));
    grid.highest = (1 << (bits - 1)) - 1;
    grid.block = block > 0 ? block : columns;
    grid.channels = columns;
    problem.grids = {grid};
  }

  double error(const RowCodes& row) const {
    const size_t n = target.size();
    std::vector<double> off(n);
    for (size_t j = 0; j < n; ++j)
      off[j] =
          row.codes[j] * row.scales[j / static_cast<size_t>(problem.grids[0].block)] - target[j];
    double sum = 0;
    for (size_t i = 0; i < n; ++i) {
      sum += off[i] * off[i] * problem.ridge;
      for (size_t j = 0; j < n; ++j) sum += off[i] * off[j] * gram[i * n + j];
    }
    return sum;
  }

  RowCodes rounded(float scale) const {
    RowCodes row;
    row.scales.assign((target.size() - 1) / static_cast<size_t>(problem.grids[0].block) + 1, scale);
    for (float w : target)
      row.codes.push_back(static_cast<float>(
          std::clamp<float>(std::nearbyint(w / scale), static_cast<float>(problem.grids[0].lowest),
                            static_cast<float>(problem.grids[0].highest))));
    return row;
  }
};

TEST(NearestPlane, BeatsRoundingAtItsOwnScale) {
  double planes = 0, rounded = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const Problem p(24, 3, seed);
    const RowCodes row = nearest_plane(p.problem)[0];
    planes += p.error(row);
    rounded += p.error(p.rounded(row.scales[0]));
  }
  EXPECT_LT(planes, 0.7 * rounded);
}

// Scales chosen by the errors inside blocks leave little more than those chosen by all.
TEST(NearestPlane, ChoosesScalesOfLargeLayersByErrorsNearEachOther) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Problem p(160, 4, seed);
    const double exact = p.error(nearest_plane(p.problem)[0]);
    p.problem.quick_scales = true;
    EXPECT_LT(p.error(nearest_plane(p.problem)[0]), 1.1 * exact);
  }
}

TEST(CoordinateDescent, NeverRaisesTheError) {
  for (const int64_t block : {0, 8}) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      const Problem p(24, 2, seed, block);
      std::vector<RowCodes> rows = nearest_plane(p.problem);
      for (int pass = 0; pass < 6; ++pass) {
        const double before = p.error(rows[0]);
        coordinate_descent(p.problem, 1, rows);
        EXPECT_LE(p.error(rows[0]), before * (1 + 1e-5)) << seed << " pass " << pass;
      }
    }
  }
}

// Every code vector at the solution's scale: descent ends close to the best one.
TEST(CoordinateDescent, ComesCloseToTheBestCodes) {
  int best_found = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Problem p(6, 2, seed);
    std::vector<RowCodes> rows = nearest_plane(p.problem);
    coordinate_descent(p.problem, 10, rows);
    const RowCodes& row = rows[0];
    RowCodes any = row;
    double least = std::numeric_limits<double>::infinity();
    for (int index = 0; index < 4096; ++index) {
      for (int j = 0; j < 6; ++j)
        any.codes[static_cast<size_t>(j)] = static_cast<float>((index >> (2 * j)) % 4 - 2);
      least = std::min(least, p.error(any));
    }
    EXPECT_LT(p.error(row), 2 * least + 1e-6) << seed;
    best_found += p.error(row) < least * 1.001 + 1e-6;
  }
  EXPECT_GE(best_found, 12);
}

// Of the weights that an optimiser finds for the problem's row.
double error_of(const Problem& p, std::string_view optimizer, int bits) {
  const auto n = static_cast<int64_t>(p.target.size());
  const Tensor weight = Tensor::of<float>({1, n}, p.target);
  const InputMoments moments{n, 1000, {{p.gram, {}, {}}}};
  const WeightCodes w = find_optimizer(optimizer).optimize({.weight = weight,
                                                            .channel_axis = 0,
                                                            .bits = bits,
                                                            .input_mean_square = {},
                                                            .exact_pairs = false,
                                                            .moments = &moments});
  for (int8_t code : w.codes.data<int8_t>()) {
    EXPECT_GE(code, -(1 << (bits - 1)));
    EXPECT_LT(code, 1 << (bits - 1));
  }
  RowCodes row{{w.codes.data<int8_t>().begin(), w.codes.data<int8_t>().end()}, w.scales};
  return p.error(row);
}

TEST(GramRows, PathsAreFollowedBetterThanByRounding) {
  double followed = 0, rounded = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Problem p(24, 3, seed);
    followed += error_of(p, "gpfq", 3);
    rounded += error_of(p, "rtn", 3);
  }
  EXPECT_LT(followed, 0.7 * rounded);
}

TEST(GramRows, WhatComesAfterCoordinateDescentIsNoWorse) {
  for (const char* optimizer : {"adaround", "cyclic", "descent"}) {
    for (int bits : {2, 3}) {
      double before = 0, after = 0;
      for (uint64_t seed = 1; seed <= 20; ++seed) {
        const Problem p(48, bits, seed);
        const double cd = error_of(p, "cd", bits), now = error_of(p, optimizer, bits);
        EXPECT_LE(now, cd * 1.001) << optimizer << " " << seed;
        before += cd;
        after += now;
      }
      EXPECT_LT(after, before) << optimizer << " " << bits;
    }
  }
}

TEST(GramRows, EightBitPairsStayInsideInt16) {
  Rng rng(3);
  Tensor weight(DType::kFloat, {4, 24});
  for (float& w : weight.mutable_data<float>()) w = rng.normal() > 0 ? 1.f : -1.f;
  const Problem p(24, 8, 1);
  InputMoments moments{24, 96, {{p.gram, std::vector<float>(24 * 24, 0.f), {}}}};
  const WeightCodes w = optimize_rows({.weight = weight,
                                       .channel_axis = 0,
                                       .bits = 8,
                                       .input_mean_square = {},
                                       .moments = &moments},
                                      nullptr);
  for (size_t i = 0; i < 96; i += 2) {
    const int a = w.codes.data<int8_t>()[i], b = w.codes.data<int8_t>()[i + 1];
    EXPECT_LE(std::max(a, 0) + std::max(b, 0), 128);
    EXPECT_GE(std::min(a, 0) + std::min(b, 0), -128);
  }
}

// Inputs that the quantized network halves: x̂ = x / 2, so that E[(x − x̂) x̂ᵀ] = H, want weights twice as large.
TEST(GramRows, TheTargetMakesUpForTheLayersBefore) {
  const Problem p(8, 8, 5);
  const Tensor weight = Tensor::of<float>({1, 8}, p.target);
  InputMoments moments{8, 1000, {{p.gram, p.gram, {}}}};
  const WeightCodes w = optimize_rows({.weight = weight,
                                       .channel_axis = 0,
                                       .bits = 8,
                                       .input_mean_square = {},
                                       .exact_pairs = false,
                                       .moments = &moments},
                                      nullptr);
  const Tensor back = dequantized(w, 0);
  double ratio = 0, squares = 0;
  for (int64_t i = 0; i < 8; ++i) {
    ratio += back.number(i) * weight.number(i);
    squares += weight.number(i) * weight.number(i);
  }
  EXPECT_NEAR(ratio / squares, 2, 0.3);
}

TEST(LinearAlgebra, SolvesWhatItFactors) {
  const Problem p(12, 4, 9);
  std::vector<float> rows = multiply_rows(p.target, p.gram, 12);
  solve_rows(rows, cholesky(p.gram, 12, 0), 12);
  for (size_t i = 0; i < 12; ++i) EXPECT_NEAR(rows[i], p.target[i], 1e-3);
}

TEST(LinearAlgebra, RefusesWhatIsNotPositiveDefinite) {
  EXPECT_THROW(cholesky(std::vector<float>{1, 2, 2, 1}, 2, 0), Error);
}

// Large ones are factored by blocks. The factor of this one has ones on and below its diagonal.
TEST(LinearAlgebra, FactorsLargeMatricesTheSameOnAnyNumberOfThreads) {
  const int64_t n = 1100;
  std::vector<float> a;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) a.push_back(static_cast<float>(std::min(i, j) + 1));
  }
  const std::vector<float> factor = cholesky(a, n, 0, 1);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) ASSERT_EQ(factor[static_cast<size_t>(i * n + j)], 1.f);
  }
  for (int64_t i = 0; i < n; ++i) a[static_cast<size_t>(i * n + i)] += 0.1f * static_cast<float>(i);
  EXPECT_EQ(cholesky(a, n, 0.3f, 1), cholesky(a, n, 0.3f, 3));
  a[static_cast<size_t>(n * n - 1)] = -1;
  EXPECT_THROW(cholesky(a, n, 0, 2), Error);
}

}  // namespace
}  // namespace qtool
