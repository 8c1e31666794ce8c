#include <gtest/gtest.h>

#include "score/fixture.hpp"

namespace qtool {
namespace {

using test::Fixture;

// Two hidden neurons of four are never used: w2's rows for them are zero.
TEST(Class, AFilterThatNoClassUsesCountsNothing) {
  Fixture f(
      R"(g (float[n, 12] x, float[12, 4] w1, float[4] b1, float[4, 3] w2, float[3] b2) => (float[n, 3] y)
{ c = Gemm(x, w1, b1)  r = Relu(c)  y = Gemm(r, w2, b2) })");
  Tensor& w2 = f.model.graph.initializers[f.model.graph.find(f.sites.layers[1].weight)].data;
  for (size_t i = 6; i < 12; ++i) w2.mutable_data<float>()[i] = 0;
  const ScoreTable scores = f.score("class");
  ASSERT_EQ(scores.groups.size(), 2u);
  const std::vector<double>& hidden = scores.groups[0].importance;
  ASSERT_EQ(hidden.size(), 4u);
  EXPECT_GT(hidden[0], 0.1);
  EXPECT_LE(hidden[0], 3.01);  // three classes
  EXPECT_EQ(hidden[2], 0);
  EXPECT_EQ(hidden[3], 0);
  // An output neuron takes part in its own class alone, if that was ever the answer.
  double most = 0;
  for (double gamma : scores.groups[1].importance) {
    EXPECT_LE(gamma, 1.001);
    most = std::max(most, gamma);
  }
  EXPECT_NEAR(most, 1, 1e-3);
}

TEST(Class, PricesFallWithTheWidth) {
  const ScoreTable scores = Fixture(test::kNet).score("class");
  for (const GroupScore& group : scores.groups) {
    ASSERT_EQ(group.importance.size(), group.filter_noise.size());
    for (size_t c = 1; c < group.noise.size(); ++c)
      EXPECT_LE(group.noise[c], group.noise[c - 1]) << group.name;
  }
}

TEST(Class, SaysNothingOfActivations) {
  try {
    Fixture(test::kNet).score("class", {.activations = {4, 8}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "QT-E139");
  }
}

}  // namespace
}  // namespace qtool
