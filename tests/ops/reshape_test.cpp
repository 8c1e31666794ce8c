#include "support.hpp"

namespace qtool {
namespace {

const Tensor kSix = floats({2, 3}, {1, 2, 3, 4, 5, 6});

Shape reshaped(std::vector<int64_t> shape, int64_t allowzero = 0, Tensor x = kSix) {
  const auto count = static_cast<int64_t>(shape.size());
  return run({"Reshape", {x, int64s({count}, shape)}, {attribute("allowzero", allowzero)}})[0]
      .shape();
}

TEST(Ops, ReshapeResolvesZeroAndMinusOne) {
  EXPECT_EQ(reshaped({3, 2}), (Shape{3, 2}));
  EXPECT_EQ(reshaped({0, -1}), (Shape{2, 3}));
  EXPECT_EQ(reshaped({-1}), (Shape{6}));
  EXPECT_EQ(reshaped({0, 5}, 1, floats({0, 3}, {})), (Shape{0, 5}));
  EXPECT_EQ(reshaped({}, 0, floats({1}, {7})), Shape{});
}

TEST(Ops, ReshapeRefusesShapesThatDoNotFit) {
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{
           {4}, {-1, -1}, {-2, 3}, {-1, 4}, {1, 1, 0}, {INT64_MAX, INT64_MAX}}) {
    const Tensor s = int64s({static_cast<int64_t>(shape.size())}, shape);
    EXPECT_NE(error_code({"Reshape", {kSix, s}}), "") << shape_text(shape);
  }
  EXPECT_EQ(error_code({"Reshape",
                        {floats({0, 3}, {}), int64s({2}, {0, -1})},
                        {attribute("allowzero", int64_t{1})}}),
            "QT-E331");
  EXPECT_EQ(error_code({"Reshape", {kSix}}), "QT-E331");
}

TEST(Ops, ReshapeOfOldOpsetsReadsItsAttribute) {
  EXPECT_EQ(
      run({"Reshape", {kSix}, {attribute("shape", std::vector<int64_t>{3, 2})}, 1})[0].shape(),
      (Shape{3, 2}));
}

TEST(Ops, ViewsShareTheirBytes) {
  EXPECT_TRUE(run({"Identity", {kSix}})[0].shares_bytes_with(kSix));
  EXPECT_TRUE(run({"Reshape", {kSix, int64s({1}, {6})}})[0].shares_bytes_with(kSix));
  EXPECT_TRUE(run({"Flatten", {kSix}})[0].shares_bytes_with(kSix));
  EXPECT_TRUE(run({"Unsqueeze", {kSix, int64s({1}, {0})}})[0].shares_bytes_with(kSix));
}

TEST(Ops, FlattenSplitsAtItsAxis) {
  const auto flat = [](int64_t axis, Shape shape) {
    return run({"Flatten", {Tensor(DType::kFloat, shape)}, {attribute("axis", axis)}})[0].shape();
  };
  EXPECT_EQ(flat(0, {2, 3, 4}), (Shape{1, 24}));
  EXPECT_EQ(flat(2, {2, 3, 4}), (Shape{6, 4}));
  EXPECT_EQ(flat(3, {2, 3, 4}), (Shape{24, 1}));
  EXPECT_EQ(flat(-1, {2, 3, 4}), (Shape{6, 4}));
  EXPECT_EQ(flat(0, {}), (Shape{1, 1}));
  EXPECT_EQ(error_code({"Flatten", {kSix}, {attribute("axis", int64_t{3})}}), "QT-E331");
}

TEST(Ops, SqueezeRemovesOnlyDimensionsOfOne) {
  const Tensor x(DType::kInt8, {1, 2, 1});
  EXPECT_EQ(run({"Squeeze", {x}})[0].shape(), Shape{2});
  EXPECT_EQ(run({"Squeeze", {x, int64s({1}, {-1})}})[0].shape(), (Shape{1, 2}));
  EXPECT_EQ(run({"Squeeze", {x}, {attribute("axes", std::vector<int64_t>{0})}, 11})[0].shape(),
            (Shape{2, 1}));
  EXPECT_EQ(error_code({"Squeeze", {x, int64s({1}, {1})}}), "QT-E331");
  EXPECT_EQ(error_code({"Squeeze", {x, int64s({2}, {0, 0})}}), "QT-E331");
}

TEST(Ops, UnsqueezeCountsAxesInTheOutput) {
  EXPECT_EQ(run({"Unsqueeze", {kSix, int64s({2}, {-1, 0})}})[0].shape(), (Shape{1, 2, 3, 1}));
  EXPECT_EQ(run({"Unsqueeze", {kSix}, {attribute("axes", std::vector<int64_t>{1})}, 11})[0].shape(),
            (Shape{2, 1, 3}));
  EXPECT_EQ(error_code({"Unsqueeze", {kSix, int64s({1}, {3})}}), "QT-E331");
}

}  // namespace
}  // namespace qtool
