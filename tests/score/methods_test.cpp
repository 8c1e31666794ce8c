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

TEST(Scores, RunEveryChoiceOnAsManySamplesAsPassesAllow) {
  const Fixture f(test::kNet);
  const auto samples = [&](const ScoreOptions& options) {
    return f.score("sqnr", options).samples;
  };
  EXPECT_EQ(samples({}), 256);
  // Twelve choices of three layers take 18 passes over what is scored.
  const int64_t some = samples({.most_passes = 9});
  EXPECT_GT(some, 0);
  EXPECT_LE(some, 128);
  EXPECT_EQ(samples({.weights = {3}, .most_passes = 9}), some);
  EXPECT_EQ(samples({.most_passes = 18}), 256);
  EXPECT_GT(samples({.most_passes = 1}), 0);
  EXPECT_EQ(f.score("fisher", {.most_passes = 1}).samples, 256);
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

void expect_same_prices(const ScoreTable& a, const ScoreTable& b) {
  ASSERT_EQ(a.groups.size(), b.groups.size());
  for (size_t g = 0; g < a.groups.size(); ++g) {
    EXPECT_EQ(a.groups[g].name, b.groups[g].name);
    EXPECT_EQ(a.groups[g].kind, b.groups[g].kind);
    EXPECT_EQ(a.groups[g].widths, b.groups[g].widths);
    EXPECT_EQ(a.groups[g].noise, b.groups[g].noise);
    EXPECT_EQ(a.groups[g].filter_noise, b.groups[g].filter_noise);
    EXPECT_EQ(a.groups[g].error, b.groups[g].error);
  }
}

// A width of weights or activations that is added later gets the price that it would have had at first.
TEST(Scores, WidthsOfTwoTablesAreJoined) {
  const Fixture f(test::kNet);
  const auto priced = [&](const std::string& method, std::vector<Width> weights,
                          std::vector<Width> activations) {
    return f.score(
        method,
        {.weights = std::move(weights), .activations = std::move(activations), .optimizer = "cd"});
  };
  for (const std::string method : {"sqnr", "fisher", "interaction"}) {
    SCOPED_TRACE(method);
    const std::vector<Width> weights = {2, 3, 4}, activations = {4, 6, 8};
    const ScoreTable all = joined_scores(priced(method, weights, activations), {}, weights,
                                         activations),
                     few = priced(method, {2, 4}, {8, 4}), wider = priced(method, {3}, {}),
                     more = priced(method, {}, {6});
    const ScoreTable two = joined_scores(few, wider, weights, {8, 4});
    expect_same_prices(joined_scores(two, more, weights, activations), all);
    expect_same_prices(
        joined_scores(joined_scores(wider, few, weights, {4, 8}), more, weights, activations), all);
  }
}

TEST(Scores, KnowWhatTheyLack) {
  ScoreTable few;
  few.groups = {{GroupKind::kWeights, "a", {4, 2}, {0.1, 0.2}},
                {GroupKind::kWeights, "b", {2, 4}, {0.2, 0.1}},
                {GroupKind::kActivation, "x", {8}, {0.1}}};
  EXPECT_EQ(missing_widths(few, GroupKind::kWeights, {2, 3, 4}), (std::vector<Width>{3}));
  EXPECT_EQ(missing_widths(few, GroupKind::kActivation, {4, 8}), (std::vector<Width>{4}));
  EXPECT_EQ(missing_widths(ScoreTable{}, GroupKind::kWeights, {2, 3}), (std::vector<Width>{2, 3}));
  EXPECT_EQ(priced_widths(few, GroupKind::kWeights), (std::vector<Width>{4, 2}));
}

}  // namespace
}  // namespace qtool
