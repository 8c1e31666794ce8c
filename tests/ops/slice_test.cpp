#include "support.hpp"

namespace qtool {
namespace {

const Tensor kFive = floats({5}, {0, 1, 2, 3, 4});

Tensor sliced(int64_t start, int64_t end, int64_t step) {
  return run({"Slice",
              {kFive, int64s({1}, {start}), int64s({1}, {end}), int64s({1}, {0}),
               int64s({1}, {step})}})[0];
}

TEST(Ops, SliceClampsItsPositions) {
  expect_tensor(sliced(1, 3, 1), floats({2}, {1, 2}));
  expect_tensor(sliced(-2, INT64_MAX, 1), floats({2}, {3, 4}));
  expect_tensor(sliced(0, 5, 2), floats({3}, {0, 2, 4}));
  expect_tensor(sliced(-1, INT64_MIN, -1), floats({5}, {4, 3, 2, 1, 0}));
  expect_tensor(sliced(100, 0, -2), floats({2}, {4, 2}));
  expect_tensor(sliced(0, 5, INT64_MAX), floats({1}, {0}));
  expect_tensor(sliced(4, INT64_MIN, INT64_MIN), floats({1}, {4}));
  EXPECT_EQ(sliced(3, 1, 1).shape(), Shape{0});
  EXPECT_EQ(sliced(7, 9, 1).shape(), Shape{0});
}

TEST(Ops, SliceTakesAxesInAnyOrder) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor y = run({"Slice",
                        {x, int64s({2}, {-1, 1}), int64s({2}, {-4, 2}), int64s({2}, {-1, 0}),
                         int64s({2}, {-2, 1})}})[0];
  expect_tensor(y, floats({1, 2}, {6, 4}));
  EXPECT_EQ(run({"Slice",
                 {Tensor(DType::kFloat, {0, 3}), int64s({1}, {-1}), int64s({1}, {-9}),
                  int64s({1}, {0}), int64s({1}, {-1})}})[0]
                .shape(),
            (Shape{0, 3}));
}

TEST(Ops, SliceOfOldOpsetsReadsAttributes) {
  const std::vector<int64_t> start{1}, end{1000}, axes{0};
  expect_tensor(run({"Slice",
                     {kFive},
                     {attribute("starts", start), attribute("ends", end), attribute("axes", axes)},
                     9})[0],
                floats({4}, {1, 2, 3, 4}));
}

TEST(Ops, SliceOfEverythingIsItsInput) {
  EXPECT_TRUE(
      run({"Slice", {kFive, int64s({1}, {0}), int64s({1}, {5})}})[0].shares_bytes_with(kFive));
}

TEST(Ops, SliceRefusesNonsense) {
  const Tensor one = int64s({1}, {1}), two = int64s({2}, {0, 0});
  EXPECT_EQ(error_code({"Slice", {kFive, one, one, int64s({1}, {0}), int64s({1}, {0})}}),
            "QT-E331");
  EXPECT_EQ(error_code({"Slice", {kFive, one, two}}), "QT-E331");
  EXPECT_EQ(error_code({"Slice", {kFive, two, two, two}}), "QT-E331");
  EXPECT_EQ(error_code({"Slice", {kFive, one, one, one}}), "QT-E331");
  EXPECT_EQ(error_code({"Slice", {kFive, floats({1}, {0}), one}}), "QT-E331");
  EXPECT_EQ(error_code({"Slice", {kFive, one}}), "QT-E331");
}

}  // namespace
}  // namespace qtool
