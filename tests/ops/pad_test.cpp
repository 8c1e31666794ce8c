#include "support.hpp"

namespace qtool {
namespace {

const Tensor kThree = floats({3}, {1, 2, 3});

Tensor padded(std::string mode, int64_t begin, int64_t end, Tensor x = kThree) {
  return run({"Pad", {x, int64s({2}, {begin, end})}, {attribute("mode", mode)}})[0];
}

TEST(Ops, PadRepeatsByItsMode) {
  expect_tensor(padded("constant", 1, 2), floats({6}, {0, 1, 2, 3, 0, 0}));
  expect_tensor(padded("edge", 2, 1), floats({6}, {1, 1, 1, 2, 3, 3}));
  expect_tensor(padded("reflect", 2, 3), floats({8}, {3, 2, 1, 2, 3, 2, 1, 2}));
  expect_tensor(padded("wrap", 4, 1), floats({8}, {3, 1, 2, 3, 1, 2, 3, 1}));
  expect_tensor(padded("reflect", 2, 1, floats({1}, {9})), floats({4}, {9, 9, 9, 9}));
}

TEST(Ops, PadCutsWhereNegative) {
  expect_tensor(padded("constant", -1, 1), floats({3}, {2, 3, 0}));
  expect_tensor(padded("edge", 1, -2), floats({2}, {1, 1}));
  EXPECT_EQ(padded("constant", -1, -2).shape(), Shape{0});
  EXPECT_EQ(error_code({"Pad", {kThree, int64s({2}, {-2, -2})}}), "QT-E331");
  EXPECT_EQ(error_code({"Pad", {kThree, int64s({2}, {INT64_MIN, 0})}}), "QT-E331");
}

TEST(Ops, PadTakesValueAndAxes) {
  const Tensor x = floats({1, 2}, {1, 2});
  expect_tensor(run({"Pad", {x, int64s({2}, {1, 0}), Tensor::scalar(9.f), int64s({1}, {-1})}})[0],
                floats({1, 3}, {9, 1, 2}));
  expect_tensor(run({"Pad",
                     {x},
                     {attribute("pads", std::vector<int64_t>{0, 0, 0, 1}), attribute("value", 7.f)},
                     2})[0],
                floats({1, 3}, {1, 2, 7}));
  EXPECT_EQ(run({"Pad", {floats({0}, {}), int64s({2}, {1, 1})}})[0].shape(), Shape{2});
}

TEST(Ops, PadRefusesNonsense) {
  EXPECT_EQ(error_code({"Pad", {kThree, int64s({1}, {1})}}), "QT-E331");
  EXPECT_EQ(error_code(
                {"Pad", {kThree, int64s({2}, {1, 1})}, {attribute("mode", std::string("mirror"))}}),
            "QT-E331");
  EXPECT_EQ(error_code({"Pad", {kThree, int64s({2}, {1, 1}), Tensor::scalar(1.0)}}), "QT-E331");
  EXPECT_EQ(error_code({"Pad",
                        {floats({0}, {}), int64s({2}, {1, 1})},
                        {attribute("mode", std::string("edge"))}}),
            "QT-E331");
  EXPECT_EQ(error_code({"Pad", {kThree, int64s({4}, {1, 1, 1, 1}), Tensor(), int64s({2}, {0, 0})}}),
            "QT-E331");
}

TEST(Ops, CenterCropPadKeepsTheMiddle) {
  const Tensor x = floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  expect_tensor(run({"CenterCropPad", {x, int64s({2}, {3, 1})}})[0], floats({3, 1}, {2, 6, 0}));
  expect_tensor(run({"CenterCropPad",
                     {x, int64s({1}, {2})},
                     {attribute("axes", std::vector<int64_t>{-1})}})[0],
                floats({2, 2}, {2, 3, 6, 7}));
  EXPECT_EQ(error_code({"CenterCropPad", {x, int64s({1}, {2})}}), "QT-E331");
}

}  // namespace
}  // namespace qtool
