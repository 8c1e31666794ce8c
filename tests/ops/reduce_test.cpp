#include <limits>

#include "ops/support.hpp"

namespace qtool {
namespace {
const Attribute kDrop{"keepdims", int64_t{0}, ""};
}  // namespace

TEST(Reduce, FoldsAnyAxes) {
  const Tensor x = floats({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  expect_tensor(run({"ReduceSum", {x, int64s({2}, {0, 2})}})[0], floats({1, 2, 1}, {14, 22}));
  expect_tensor(run({"ReduceMean", {x, int64s({1}, {-2})}, {kDrop}})[0],
                floats({2, 2}, {2, 3, 6, 7}));
  expect_tensor(run({"ReduceMax", {x}, {kDrop}})[0], Tensor::scalar(8.f));
  expect_tensor(run({"ReduceL2", {x, int64s({1}, {2})}, {kDrop}})[0],
                floats({2, 2}, {2.236068f, 5, 7.8102497f, 10.630146f}));
}

TEST(Reduce, LongRunsAreFoldedWhole) {
  std::vector<float> values(1003);
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += values[i] = static_cast<float>(i % 17) - 8;
  expect_tensor(run({"ReduceSum", {floats({1003}, values)}, {kDrop}})[0],
                Tensor::scalar(static_cast<float>(sum)));
  expect_tensor(run({"ReduceMin", {floats({1003}, values)}, {kDrop}})[0], Tensor::scalar(-8.f));
}

TEST(Reduce, EmptyAxesReduceAllOrNothing) {
  const Tensor x = floats({2}, {3, 4}), none = int64s({0}, {});
  expect_tensor(run({"ReduceSumSquare", {x, none}})[0], floats({1}, {25}));
  expect_tensor(
      run({"ReduceSumSquare", {x, none}, {attribute("noop_with_empty_axes", int64_t{1})}})[0],
      floats({2}, {9, 16}));
}

TEST(Reduce, EmptySetsHaveTheirNeutralElement) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = floats({2, 0}, {}), axis = int64s({1}, {1});
  expect_tensor(run({"ReduceSum", {x, axis}})[0], floats({2, 1}, {0, 0}));
  expect_tensor(run({"ReduceProd", {x, axis}})[0], floats({2, 1}, {1, 1}));
  expect_tensor(run({"ReduceMax", {x, axis}})[0], floats({2, 1}, {-inf, -inf}));
  expect_tensor(run({"ReduceLogSumExp", {x, axis}})[0], floats({2, 1}, {-inf, -inf}));
  const Tensor none = Tensor::of<int8_t>({0}, {});
  expect_tensor(run({"ReduceMin", {none}, {kDrop}})[0], Tensor::scalar<int8_t>(127));
}

TEST(Reduce, LogSumExpDoesNotOverflow) {
  expect_tensor(run({"ReduceLogSumExp", {floats({2}, {1000, 1000})}, {kDrop}})[0],
                Tensor::scalar(1000.6931f), 1e-3);
}

TEST(Reduce, BadAxesAreRefused) {
  const Tensor x = floats({2}, {1, 2});
  EXPECT_EQ(error_code({"ReduceSum", {x, int64s({1}, {1})}}), "QT-E331");
  EXPECT_EQ(error_code({"ReduceSum", {x, int64s({2}, {0, -1})}}), "QT-E331");
  EXPECT_EQ(error_code({"ReduceSum", {x, floats({1}, {0})}}), "QT-E331");
}

TEST(Reduce, ArgMaxBreaksTiesAsAsked) {
  const Tensor x = floats({1, 3}, {2, 5, 5});
  const auto axis = attribute("axis", int64_t{1});
  expect_tensor(run({"ArgMax", {x}, {axis, kDrop}})[0], int64s({1}, {1}));
  expect_tensor(run({"ArgMax", {x}, {axis, kDrop, attribute("select_last_index", int64_t{1})}})[0],
                int64s({1}, {2}));
  expect_tensor(run({"ArgMin", {x}, {axis}})[0], int64s({1, 1}, {0}));
  EXPECT_EQ(error_code({"ArgMax", {floats({0}, {})}}), "QT-E331");
}

TEST(Reduce, CumSumRunsEitherWay) {
  const Tensor x = floats({3}, {1, 2, 3}), axis = Tensor::scalar<int64_t>(0);
  const auto exclusive = attribute("exclusive", int64_t{1}),
             reverse = attribute("reverse", int64_t{1});
  expect_tensor(run({"CumSum", {x, axis}})[0], floats({3}, {1, 3, 6}));
  expect_tensor(run({"CumSum", {x, axis}, {exclusive}})[0], floats({3}, {0, 1, 3}));
  expect_tensor(run({"CumSum", {x, axis}, {reverse}})[0], floats({3}, {6, 5, 3}));
  expect_tensor(run({"CumProd", {x, axis}, {exclusive, reverse}, 26})[0], floats({3}, {6, 3, 1}));
}

TEST(Reduce, TopKOrdersByValueThenIndex) {
  const auto out = run({"TopK", {floats({4}, {3, 1, 3, 2}), int64s({1}, {3})}, {}, 22, 2});
  expect_tensor(out[0], floats({3}, {3, 3, 2}));
  expect_tensor(out[1], int64s({3}, {0, 2, 3}));
  const OpRun few{"TopK", {floats({2}, {1, 2}), int64s({1}, {3})}};
  EXPECT_EQ(error_code(few), "QT-E331");
}

TEST(Softmax, MeaningChangedWithOpset13) {
  const Tensor x = floats({1, 2, 2}, {0, 0, 0, 0});
  expect_tensor(run({"Softmax", {x}, {}, 12})[0], floats({1, 2, 2}, {0.25, 0.25, 0.25, 0.25}));
  expect_tensor(run({"Softmax", {x}, {}, 13})[0], floats({1, 2, 2}, {0.5, 0.5, 0.5, 0.5}));
  expect_tensor(run({"LogSoftmax", {floats({2}, {1000, 1000})}})[0],
                floats({2}, {-0.6931472f, -0.6931472f}));
  expect_tensor(run({"Hardmax", {floats({3}, {1, 3, 3})}})[0], floats({3}, {0, 1, 0}));
  expect_tensor(run({"Softmax", {floats({0, 3}, {})}})[0], floats({0, 3}, {}));
}

}  // namespace qtool
