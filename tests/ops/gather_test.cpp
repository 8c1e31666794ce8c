#include "support.hpp"

namespace qtool {
namespace {

const Tensor kSix = floats({2, 3}, {1, 2, 3, 4, 5, 6});
Attribute axis(int64_t a) { return attribute("axis", a); }

TEST(Ops, GatherPicksSlices) {
  expect_tensor(run({"Gather", {kSix, int64s({2}, {-1, 0})}})[0],
                floats({2, 3}, {4, 5, 6, 1, 2, 3}));
  expect_tensor(run({"Gather", {kSix, int64s({1, 2}, {0, 2})}, {axis(1)}})[0],
                floats({2, 1, 2}, {1, 3, 4, 6}));
  expect_tensor(run({"Gather", {kSix, Tensor::scalar(int32_t{1})}, {axis(1)}})[0],
                floats({2}, {2, 5}));
  EXPECT_EQ(run({"Gather", {kSix, int64s({0}, {})}})[0].shape(), (Shape{0, 3}));
}

TEST(Ops, GatherRefusesIndicesOutOfRange) {
  for (const int64_t bad : {int64_t{2}, int64_t{-3}, INT64_MIN, INT64_MAX}) {
    EXPECT_EQ(error_code({"Gather", {kSix, int64s({1}, {bad})}}), "QT-E331");
    EXPECT_EQ(error_code({"GatherElements", {kSix, int64s({1, 1}, {bad})}}), "QT-E331");
    EXPECT_EQ(error_code({"GatherND", {kSix, int64s({1, 1}, {bad})}}), "QT-E331");
  }
  EXPECT_EQ(error_code({"Gather", {floats({}, {1}), int64s({1}, {0})}}), "QT-E331");
  EXPECT_EQ(error_code({"Gather", {kSix, floats({1}, {0})}}), "QT-E331");
}

TEST(Ops, GatherElementsPicksOneByOne) {
  expect_tensor(run({"GatherElements", {kSix, int64s({1, 3}, {1, 0, -1})}})[0],
                floats({1, 3}, {4, 2, 6}));
  expect_tensor(run({"GatherElements", {kSix, int64s({2, 1}, {2, 0})}, {axis(1)}})[0],
                floats({2, 1}, {3, 4}));
  EXPECT_EQ(error_code({"GatherElements", {kSix, int64s({3, 1}, {0, 0, 0})}, {axis(1)}}),
            "QT-E331");
  EXPECT_EQ(error_code({"GatherElements", {kSix, int64s({1}, {0})}}), "QT-E331");
}

TEST(Ops, GatherNDFollowsIndexTuples) {
  expect_tensor(run({"GatherND", {kSix, int64s({2, 2}, {0, 1, -1, -1})}})[0], floats({2}, {2, 6}));
  expect_tensor(run({"GatherND", {kSix, int64s({1, 1}, {1})}})[0], floats({1, 3}, {4, 5, 6}));
  expect_tensor(
      run({"GatherND", {kSix, int64s({2, 1}, {2, 0})}, {attribute("batch_dims", int64_t{1})}})[0],
      floats({2}, {3, 4}));
  EXPECT_EQ(error_code({"GatherND", {kSix, int64s({1, 3}, {0, 0, 0})}}), "QT-E331");
  EXPECT_EQ(
      error_code(
          {"GatherND", {kSix, int64s({2, 1}, {0, 0})}, {attribute("batch_dims", int64_t{2})}}),
      "QT-E331");
}

}  // namespace
}  // namespace qtool
