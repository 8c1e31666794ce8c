#include <cmath>

#include "support.hpp"

namespace qtool {
namespace {

TEST(Ops, LikelihoodLossWeighsAndIgnores) {
  const Tensor x = floats({2, 2}, {-1, -2, -3, -4}), labels = int64s({2}, {1, 0}),
               weights = floats({2}, {3, 1});
  const char* op = "NegativeLogLikelihoodLoss";
  const auto by = [](const char* reduction) {
    return attribute("reduction", std::string(reduction));
  };
  expect_tensor(run({op, {x, labels}, {by("none")}})[0], floats({2}, {2, 3}));
  expect_tensor(run({op, {x, labels, weights}, {by("sum")}})[0], floats({}, {11}));
  expect_tensor(run({op, {x, labels, weights}})[0], floats({}, {2.75f}));
  expect_tensor(run({op, {x, labels}, {attribute("ignore_index", int64_t{1})}})[0],
                floats({}, {3}));
  EXPECT_EQ(error_code({op, {x, int64s({2}, {2, 0})}}), "QT-E331");
  EXPECT_EQ(error_code({op, {x, int64s({1}, {0})}}), "QT-E331");
}

TEST(Ops, CrossEntropyTakesTheSoftmaxFirst) {
  const auto y =
      run({"SoftmaxCrossEntropyLoss", {floats({1, 2}, {1000, 1000}), int64s({1}, {0})}, {}, 22, 2});
  EXPECT_NEAR(y[0].number(0), std::log(2), 1e-6);
  EXPECT_NEAR(y[1].number(1), -std::log(2), 1e-6);
}

TEST(Ops, Col2ImSumsOverlappingBlocks) {
  // One block of two at each of three places of an image of 1 × 4.
  const Tensor x = floats({1, 2, 3}, {1, 2, 3, 10, 20, 30});
  expect_tensor(run({"Col2Im", {x, int64s({2}, {1, 4}), int64s({2}, {1, 2})}})[0],
                floats({1, 1, 1, 4}, {1, 12, 23, 30}));
  EXPECT_EQ(error_code({"Col2Im", {x, int64s({2}, {1, 5}), int64s({2}, {1, 2})}}), "QT-E331");
  EXPECT_EQ(error_code({"Col2Im", {x, int64s({2}, {1, 4}), int64s({2}, {1, 9})}}), "QT-E331");
  EXPECT_EQ(error_code({"Col2Im",
                        {x, int64s({2}, {1, 4}), int64s({2}, {1, 2})},
                        {attribute("strides", std::vector<int64_t>{0, 1})}}),
            "QT-E331");
}

TEST(Ops, NonMaxSuppressionDropsOverlappingBoxes) {
  const Tensor boxes = floats({1, 3, 4}, {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 0, 10, 1, 11});
  const Tensor scores = floats({1, 1, 3}, {0.9f, 0.75f, 0.6f}), limit = Tensor::scalar(int64_t{3});
  const Tensor overlap = Tensor::scalar(0.5f);
  expect_tensor(run({"NonMaxSuppression", {boxes, scores, limit, overlap}})[0],
                int64s({2, 3}, {0, 0, 0, 0, 0, 2}));
  expect_tensor(
      run({"NonMaxSuppression", {boxes, scores, limit, overlap, Tensor::scalar(0.8f)}})[0],
      int64s({1, 3}, {0, 0, 0}));
  EXPECT_EQ(run({"NonMaxSuppression", {boxes, scores}})[0].shape(), (Shape{0, 3}));
  EXPECT_EQ(error_code({"NonMaxSuppression", {boxes, floats({1, 1, 2}, {1, 1}), limit}}),
            "QT-E331");
}

}  // namespace
}  // namespace qtool
