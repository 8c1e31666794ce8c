#include <gtest/gtest.h>

#include "qtool/tensor.hpp"

namespace qtool {
namespace {

TEST(Shapes, CountElements) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 3, 4}), 24);
  EXPECT_EQ(element_count({2, 0, 4}), 0);
  EXPECT_EQ(element_count({INT64_MAX, INT64_MAX, 0}), 0);
}

TEST(Shapes, RefuseNegativeAndOverflowingProducts) {
  EXPECT_THROW(element_count({-1}), Error);
  EXPECT_THROW(element_count({0, -5}), Error);
  EXPECT_THROW(element_count({INT64_MAX, 2}), Error);
  EXPECT_THROW(element_count({1ll << 32, 1ll << 32}), Error);
}

TEST(Shapes, HaveAText) {
  EXPECT_EQ(shape_text({}), "[]");
  EXPECT_EQ(shape_text({1, 3, -1, 224}), "[1, 3, ?, 224]");
  EXPECT_LT(shape_text(Shape(100000, 1)).size(), 100u);
}

TEST(Shapes, KnowWhetherTheyAreStatic) {
  EXPECT_TRUE(is_static({}));
  EXPECT_TRUE(is_static({0, 2}));
  EXPECT_FALSE(is_static({2, -1}));
}

TEST(Shapes, StridesAreRowMajor) {
  EXPECT_EQ(strides_of({2, 3, 4}), (Shape{12, 4, 1}));
  EXPECT_EQ(strides_of({5}), (Shape{1}));
  EXPECT_EQ(strides_of({}), Shape{});
}

TEST(Shapes, BroadcastLikeNumpy) {
  EXPECT_EQ(broadcast({2, 3}, {2, 3}), (Shape{2, 3}));
  EXPECT_EQ(broadcast({}, {2, 3}), (Shape{2, 3}));
  EXPECT_EQ(broadcast({4, 1, 3}, {5, 1}), (Shape{4, 5, 3}));
  EXPECT_EQ(broadcast({1}, {0}), (Shape{0}));
  EXPECT_EQ(broadcast({1, 7}, {6, 1}), (Shape{6, 7}));
  EXPECT_THROW(broadcast({2}, {3}), Error);
  EXPECT_THROW(broadcast({0}, {2}), Error);
}

}  // namespace
}  // namespace qtool
