// What holds for every score.
#include <gtest/gtest.h>

#include <algorithm>

#include "score/fixture.hpp"

namespace qtool {
namespace {

using test::Fixture;

TEST(Scores, FloatCostsNothingAndNarrowerCostsMore) {
  const Fixture f(test::kNet);
  for (const ScoreMethod* method : score_methods()) {
    SCOPED_TRACE(std::string(method->name));
    const ScoreTable scores =
        f.score(std::string(method->name), {.weights = {2, 4, 8, kFloatBits}});
    ASSERT_EQ(scores.groups.size(), 3u);
    for (const GroupScore& group : scores.groups) {
      EXPECT_EQ(group.noise.back(), 0) << group.name;
      EXPECT_GT(group.noise[0], group.noise[1]) << group.name;
      EXPECT_GE(group.noise[1], group.noise[2]) << group.name;
    }
  }
}

TEST(Scores, PriceRangesThatAreFoundAtRunTime) {
  const Fixture f(
      R"(g (float[n, 3, 8] x, float[8, 6] w1, float[6] b1, float[6, 4] w2) => (float[n, 3, 4] y)
{ m = MatMul(x, w1)  a = Add(m, b1)  r = Relu(a)  y = MatMul(r, w2) })");
  const std::vector<Width> modes = {8,
                                    {8, "uniform", ActivationMode::kDynamic},
                                    {8, "uniform", ActivationMode::kToken},
                                    kFloatBits};
  const ScoreTable measured = f.score("sqnr", {.activations = modes}),
                   predicted = f.score("fisher", {.activations = modes});
  int priced = 0;
  for (const GroupScore& group : measured.groups) {
    if (group.kind != GroupKind::kActivation) continue;
    ++priced;
    const auto same = std::ranges::find_if(
        predicted.groups, [&](const GroupScore& other) { return other.name == group.name; });
    ASSERT_NE(same, predicted.groups.end());
    EXPECT_EQ(group.widths, modes);
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_GT(group.noise[c], 0) << group.name << c;
      // Fisher takes errors for independent.
      EXPECT_NEAR(std::log2(same->noise[c] / group.noise[c]), 0, 1) << group.name << c;
    }
    EXPECT_EQ(group.noise[3], 0);
  }
  EXPECT_GE(priced, 2);
}

TEST(Scores, DoNotDependOnThreads) {
  const Fixture f(test::kNet);
  for (const ScoreMethod* method : score_methods()) {
    const ScoreTable one = f.score(std::string(method->name), {.optimizer = "cd", .threads = 1}),
                     two = f.score(std::string(method->name), {.optimizer = "cd", .threads = 2});
    for (size_t g = 0; g < one.groups.size(); ++g) {
      EXPECT_EQ(one.groups[g].noise, two.groups[g].noise) << method->name;
      EXPECT_EQ(one.groups[g].error, two.groups[g].error) << method->name;
      EXPECT_EQ(one.groups[g].importance, two.groups[g].importance) << method->name;
    }
  }
}

// The Gauss-Newton trace of a linear network is that of its input's second moments.
TEST(Hessian, TracesALinearNetwork) {
  const Fixture f(R"(g (float[n, 6] x, float[6, 4] w1) => (float[n, 4] y) { y = MatMul(x, w1) })");
  const ScoreTable trace = f.score("hessian"), noise = f.score("sqnr");
  // Inputs are white: both say the same of every width.
  for (size_t c = 0; c < 3; ++c)
    EXPECT_NEAR(trace.groups[0].noise[c] / noise.groups[0].noise[c], 1, 0.25) << c;
}

// Errors keep their lengths and their inner products in the projection.
TEST(Interaction, ErrorsAddUpAsTheirVectorsDo) {
  const Fixture f(test::kNet);
  const ScoreTable scores = f.score("interaction");
  for (const GroupScore& group : scores.groups) {
    double square = 0;
    for (float v : group.error[0]) square += double{v} * v;
    EXPECT_NEAR(square / group.noise[0], 1, 0.5) << group.name;
  }
}

TEST(Orthogonality, AnOutputThatIsAlikeCountsLess) {
  // The first two layers are the same; the third sees another input.
  Fixture f(
      R"(g (float[n, 8] x, float[8, 6] w1, float[8, 6] w2, float[8, 6] w3) => (float[n, 6] a, float[n, 6] b, float[n, 6] c)
{ a = MatMul(x, w1)  b = MatMul(x, w2)  c = MatMul(x, w3) })");
  Graph& g = f.model.graph;
  g.initializers[g.find(f.sites.layers[1].weight)].data =
      *g.constant(g.find(f.sites.layers[0].weight));
  const ScoreTable scores = f.score("orthogonality");
  EXPECT_NEAR(scores.groups[0].noise[0], scores.groups[1].noise[0], 1e-6);
  EXPECT_LT(scores.groups[0].noise[0], scores.groups[2].noise[0]);
}

TEST(Scores, WidthsOfTwoTablesAreJoined) {
  const Fixture f(test::kNet);
  const ScoreTable few = f.score("sqnr", {.weights = {2, 4}}),
                   more = f.score("sqnr", {.weights = {3}}),
                   all = f.score("sqnr", {.weights = {2, 3, 4}});
  EXPECT_EQ(missing_widths(few, {2, 3, 4}), (std::vector<Width>{3}));
  EXPECT_EQ(missing_widths(ScoreTable{}, {2, 3}), (std::vector<Width>{2, 3}));
  EXPECT_EQ(missing_widths(few, {2, {2, "kmeans"}}), (std::vector<Width>{{2, "kmeans"}}));
  const ScoreTable joined = joined_scores(few, more, {2, 3, 4});
  for (size_t g = 0; g < all.groups.size(); ++g) {
    EXPECT_EQ(joined.groups[g].widths, all.groups[g].widths);
    EXPECT_EQ(joined.groups[g].noise, all.groups[g].noise);
    EXPECT_EQ(joined.groups[g].filter_noise, all.groups[g].filter_noise);
  }
}

}  // namespace
}  // namespace qtool
