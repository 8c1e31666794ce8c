#include <cmath>

#include "support.hpp"

namespace qtool {
namespace {

const std::vector<int64_t> kShape{64, 64};

TEST(Ops, RandomNumbersFollowTheirSeed) {
  const auto draw = [](const char* op, float seed) {
    return run({op, {}, {attribute("shape", kShape), attribute("seed", seed)}})[0];
  };
  for (const char* op : {"RandomUniform", "RandomNormal"}) {
    expect_tensor(draw(op, 1), draw(op, 1));
    EXPECT_NE(draw(op, 1).number(0), draw(op, 2).number(0));
  }
  double sum = 0, squares = 0;
  const Tensor normal = draw("RandomNormal", 3);
  for (int64_t i = 0; i < normal.size(); ++i)
    sum += normal.number(i), squares += normal.number(i) * normal.number(i);
  EXPECT_NEAR(sum / 4096, 0, 0.06);
  EXPECT_NEAR(squares / 4096, 1, 0.1);
}

TEST(Ops, RandomLikeTakesShapeAndType) {
  const Tensor x(DType::kDouble, {3, 2});
  for (const char* op : {"RandomUniformLike", "RandomNormalLike"}) {
    EXPECT_EQ(run({op, {x}})[0].dtype(), DType::kDouble);
    EXPECT_EQ(run({op, {x}})[0].shape(), (Shape{3, 2}));
    EXPECT_EQ(error_code({op, {Tensor(DType::kInt32, {1})}}), "QT-E320");
  }
}

TEST(Ops, BernoulliAndMultinomialFollowProbabilities) {
  expect_tensor(run({"Bernoulli", {floats({2}, {0, 1})}})[0], floats({2}, {0, 1}));
  const Tensor y = run({"Multinomial",
                        {floats({1, 3}, {-INFINITY, 0, -INFINITY})},
                        {attribute("sample_size", int64_t{3})}})[0];
  expect_tensor(y, Tensor::of<int32_t>({1, 3}, {1, 1, 1}));
  EXPECT_EQ(error_code({"Multinomial", {floats({1, 0}, {})}}), "QT-E331");
  EXPECT_FALSE(find_op("Bernoulli", "", 22)->deterministic);
}

}  // namespace
}  // namespace qtool
