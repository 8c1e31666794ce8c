#include <gtest/gtest.h>

#include "score/fixture.hpp"

namespace qtool {
namespace {

using test::Fixture;
using test::kNet;

TEST(Fisher, APriceIsTheSumOfItsFilters) {
  const ScoreTable scores = Fixture(kNet).score("fisher");
  ASSERT_EQ(scores.groups.size(), 3u);
  for (const GroupScore& group : scores.groups) {
    EXPECT_EQ(group.filter_noise.size(), group.name == scores.groups[2].name ? 10u : 8u);
    for (size_t c = 0; c < group.noise.size(); ++c) {
      double sum = 0;
      for (const auto& row : group.filter_noise) sum += row[c];
      EXPECT_NEAR(sum, group.noise[c], 1e-12);
      if (c > 0) {
        EXPECT_LT(group.noise[c], group.noise[c - 1]) << group.name;
      }
    }
  }
}

// A filter that Relu cuts off on every sample has no gradient, but an error.
TEST(Fisher, NoFilterIsFree) {
  Fixture f(R"(g (float[n, 6] x, float[6, 4] w1, float[4] b1, float[4, 3] w2) => (float[n, 3] y)
{ h = Gemm(x, w1, b1)  r = Relu(h)  y = MatMul(r, w2) })");
  const ValueId bias = f.model.graph.find(f.sites.layers[0].bias);
  f.model.graph.initializers[bias].data.mutable_data<float>()[1] = -100;
  const ScoreTable scores = f.score("fisher");
  for (const auto& prices : scores.groups[0].filter_noise)
    for (const double price : prices) EXPECT_GT(price, 0);
}

// Without a bias input nothing is taken off, so that both scores price the same change; of one
// layer's output the gradient is exact. Random directions and cross terms of rows remain.
TEST(Fisher, AgreesWithMeasuredNoise) {
  const Fixture f(R"(g (float[n, 24] x, float[24, 32] w1, float[32, 20] w2) => (float[n, 20] y)
{ h = MatMul(x, w1)  r = Relu(h)  y = MatMul(r, w2) })");
  const ScoreTable priced = f.score("fisher"), measured = f.score("sqnr");
  for (size_t g = 0; g < priced.groups.size(); ++g) {
    for (size_t c = 0; c < priced.groups[g].noise.size(); ++c) {
      const double ratio = priced.groups[g].noise[c] / measured.groups[g].noise[c];
      EXPECT_GT(ratio, 0.7) << priced.groups[g].name << " " << c;
      EXPECT_LT(ratio, 1.4) << priced.groups[g].name << " " << c;
    }
  }
}

void expect_as_measured(const Fixture& f, size_t least) {
  const ScoreOptions options{.activations = {4, 8}};
  const ScoreTable priced = f.score("fisher", options), measured = f.score("sqnr", options);
  size_t compared = 0;
  for (const GroupScore& group : priced.groups) {
    if (group.kind != GroupKind::kActivation) continue;
    for (const GroupScore& other : measured.groups) {
      if (other.name != group.name || other.kind != group.kind) continue;
      for (const size_t width : {0, 1})
        EXPECT_NEAR(std::log(group.noise[width] / other.noise[width]), 0, 0.7) << group.name;
      ++compared;
    }
  }
  EXPECT_GE(compared, least);
}

TEST(Fisher, PricesActivationsAsMeasured) { expect_as_measured(Fixture(kNet), 2); }

// Where a sum reads the same value, 4 bits are the layer's alone.
TEST(Fisher, PricesBranchesAsMeasured) {
  expect_as_measured(Fixture(R"(g (float[n, 3, 8, 8] x, float[8, 3, 3, 3] w1, float[8, 8, 3, 3] w2,
 float[8, 10] w3, float[10] b3) => (float[n, 10] y)
{ c = Conv<pads = [1, 1, 1, 1]>(x, w1)  r = Relu(c)  d = Conv<pads = [1, 1, 1, 1]>(r, w2)
  t = Add(d, r)  s = Relu(t)  p = GlobalAveragePool(s)  f = Flatten(p)  y = Gemm(f, w3, b3) })"),
                     3);
}

TEST(Fisher, DoesNotDependOnThreads) {
  const Fixture f(kNet);
  const ScoreTable one = f.score("fisher", {.optimizer = "cd", .threads = 1}),
                   two = f.score("fisher", {.optimizer = "cd", .threads = 2});
  for (size_t g = 0; g < one.groups.size(); ++g)
    EXPECT_EQ(one.groups[g].filter_noise, two.groups[g].filter_noise);
}

TEST(Fisher, OptimisedWeightsCostLess) {
  const Fixture f(kNet);
  const ScoreTable rounded = f.score("fisher"), optimised = f.score("fisher", {.optimizer = "cd"});
  EXPECT_LT(optimised.groups[0].noise[0], rounded.groups[0].noise[0]);
}

TEST(Fisher, ReadsItsFiltersBack) {
  const ScoreTable scores = Fixture(kNet).score("fisher");
  const auto path = std::filesystem::temp_directory_path() / "qtool_fisher_test_scores.json";
  save_scores(scores, path);
  EXPECT_EQ(load_scores(path).groups[1].filter_noise, scores.groups[1].filter_noise);
  std::filesystem::remove(path);
}

TEST(Fisher, NamesTheOperatorWithoutGradient) {
  try {
    Fixture(test::kWithoutGradient).score("fisher");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), kUnsupportedCode);
    EXPECT_NE(e.message().find("LRN"), std::string::npos);
  }
}

TEST(Auto, TakesWhatTheModelAllows) {
  EXPECT_EQ(Fixture(kNet).score("auto").method, "fisher");
  EXPECT_EQ(Fixture(test::kWithoutGradient).score("auto").method, "sqnr");
}

}  // namespace
}  // namespace qtool
