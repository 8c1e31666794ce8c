#include "ops/support.hpp"

namespace qtool {

TEST(Normalization, BatchUsesGivenOrOwnStatistics) {
  const Tensor x = floats({2, 1, 1}, {1, 3}), one = floats({1}, {1}), zero = floats({1}, {0});
  const auto epsilon = attribute("epsilon", 0.f);
  expect_tensor(
      run({"BatchNormalization", {x, floats({1}, {2}), one, one, floats({1}, {4})}, {epsilon}})[0],
      floats({2, 1, 1}, {1, 3}));
  const OpRun training{
      "BatchNormalization",
      {x, one, zero, zero, one},
      {epsilon, attribute("training_mode", int64_t{1}), attribute("momentum", 0.5f)},
      15,
      3};
  const auto out = run(training);
  expect_tensor(out[0], floats({2, 1, 1}, {-1, 1}));
  expect_tensor(out[1], floats({1}, {1}));
  expect_tensor(out[2], floats({1}, {1}));
  EXPECT_EQ(error_code({"BatchNormalization", {x, one, zero, zero, one}, {}, 6}), kUnsupportedCode);
}

TEST(Normalization, LayerGivesMeanAndInverseDeviation) {
  const Tensor x = floats({2, 2}, {1, 3, 2, 6}), scale = floats({2}, {1, 2}),
               bias = floats({2}, {0, 1});
  const auto out =
      run({"LayerNormalization", {x, scale, bias}, {attribute("epsilon", 0.f)}, 17, 3});
  expect_tensor(out[0], floats({2, 2}, {-1, 3, -1, 3}));
  expect_tensor(out[1], floats({2, 1}, {2, 4}));
  expect_tensor(out[2], floats({2, 1}, {1, 0.5}));
  expect_tensor(run({"RMSNormalization",
                     {floats({1, 2}, {3, 4}), floats({1}, {1})},
                     {attribute("epsilon", 0.f)},
                     23})[0],
                floats({1, 2}, {0.8485281f, 1.1313709f}));
}

TEST(Normalization, GroupParametersChangedWithOpset21) {
  const Tensor x = floats({1, 2, 2}, {1, 3, 5, 9}), epsilon_free = floats({2}, {1, 2});
  const auto groups = attribute("num_groups", int64_t{2}), epsilon = attribute("epsilon", 0.f);
  const Tensor zero = floats({2}, {0, 0});
  expect_tensor(run({"GroupNormalization", {x, epsilon_free, zero}, {groups, epsilon}, 21})[0],
                floats({1, 2, 2}, {-1, 1, -2, 2}));
  const OpRun one_group{"GroupNormalization",
                        {x, floats({1}, {1}), floats({1}, {0})},
                        {attribute("num_groups", int64_t{1})},
                        18};
  EXPECT_EQ(run(one_group)[0].shape(), x.shape());
  EXPECT_EQ(error_code({"GroupNormalization",
                        {x, floats({1}, {1}), floats({1}, {0})},
                        {attribute("num_groups", int64_t{1})},
                        21}),
            "QT-E331");
  expect_tensor(run({"InstanceNormalization", {x, epsilon_free, zero}, {epsilon}})[0],
                floats({1, 2, 2}, {-1, 1, -2, 2}));
}

TEST(Normalization, LpLeavesZerosAlone) {
  expect_tensor(run({"LpNormalization", {floats({2, 2}, {3, 4, 0, 0})}})[0],
                floats({2, 2}, {0.6f, 0.8f, 0, 0}));
  expect_tensor(run({"LpNormalization", {floats({2}, {1, -3})}, {attribute("p", int64_t{1})}})[0],
                floats({2}, {0.25, -0.75}));
}

TEST(Normalization, LrnLooksAtNeighbouringChannels) {
  const OpRun r{"LRN",
                {floats({1, 3, 1}, {1, 2, 3})},
                {attribute("size", int64_t{2}), attribute("alpha", 2.f), attribute("beta", 1.f),
                 attribute("bias", 1.f)}};
  expect_tensor(run(r)[0], floats({1, 3, 1}, {1 / 6.f, 2 / 14.f, 3 / 10.f}));
}

TEST(Normalization, DropoutPassesThroughAtInference) {
  const Tensor x = floats({2}, {1, 2});
  const auto out = run({"Dropout", {x}, {}, 13, 2});
  expect_tensor(out[0], x);
  EXPECT_EQ(out[1].to_int64s(), (std::vector<int64_t>{1, 1}));
  Tensor training(DType::kBool, {});
  training.mutable_data<bool>()[0] = true;
  EXPECT_EQ(error_code({"Dropout", {x, Tensor::scalar(0.5f), training}, {}, 13}), kUnsupportedCode);
}

}  // namespace qtool
