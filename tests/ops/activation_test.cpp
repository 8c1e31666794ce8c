#include <cmath>
#include <limits>

#include "ops/support.hpp"

namespace qtool {

TEST(Activation, ReluKeepsNanAndTypes) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect_tensor(run({"Relu", {floats({3}, {-1, nan, 2})}})[0], floats({3}, {0, nan, 2}));
  expect_tensor(run({"Relu", {Tensor::of<int8_t>({2}, {-3, 3})}})[0],
                Tensor::of<int8_t>({2}, {0, 3}));
  EXPECT_EQ(error_code({"Relu", {Tensor::strings({1}, {"x"})}}), kUnsupportedCode);
}

TEST(Activation, ClipReadsAttributesThenInputs) {
  const Tensor x = floats({3}, {-1, 3, 9});
  expect_tensor(run({"Clip", {x}, {attribute("min", 0.f), attribute("max", 6.f)}, 6})[0],
                floats({3}, {0, 3, 6}));
  expect_tensor(run({"Clip", {x, Tensor::scalar(0.f), Tensor::scalar(6.f)}})[0],
                floats({3}, {0, 3, 6}));
  expect_tensor(run({"Clip", {x, Tensor(), Tensor::scalar(2.f)}})[0], floats({3}, {-1, 2, 2}));
  expect_tensor(run({"Clip", {x, Tensor::scalar(5.f), Tensor::scalar(1.f)}})[0],
                floats({3}, {1, 1, 1}));
  EXPECT_EQ(error_code({"Clip", {x, floats({2}, {0, 1})}}), "QT-E331");
}

TEST(Activation, LargeArgumentsDoNotOverflow) {
  const Tensor x = floats({2}, {-1000, 1000});
  expect_tensor(run({"Sigmoid", {x}})[0], floats({2}, {0, 1}));
  expect_tensor(run({"Softplus", {x}})[0], floats({2}, {0, 1000}));
  expect_tensor(run({"Mish", {x}})[0], floats({2}, {0, 1000}));
}

TEST(Activation, AttributesHaveTheirDefaults) {
  const Tensor x = floats({2}, {-1, 1});
  expect_tensor(run({"LeakyRelu", {x}})[0], floats({2}, {-0.01f, 1}));
  expect_tensor(run({"Elu", {x}})[0], floats({2}, {-0.6321206f, 1}));
  expect_tensor(run({"HardSigmoid", {x}})[0], floats({2}, {0.3f, 0.7f}));
  expect_tensor(run({"HardSwish", {x}})[0], floats({2}, {-1 / 3.f, 2 / 3.f}));
  expect_tensor(run({"Gelu", {x}})[0], floats({2}, {-0.15865525f, 0.8413447f}));
  expect_tensor(run({"ThresholdedRelu", {x}, {attribute("alpha", 1.f)}})[0], floats({2}, {0, 0}));
  expect_tensor(run({"Selu", {x}})[0], floats({2}, {-1.1113307f, 1.050701f}));
  expect_tensor(run({"Shrink", {x}})[0], floats({2}, {-1, 1}));
}

TEST(Activation, PReluBroadcastsItsSlope) {
  const Tensor x = floats({1, 2, 2}, {-1, 2, -3, 4});
  expect_tensor(run({"PRelu", {x, floats({2, 1}, {0.5, 2})}})[0],
                floats({1, 2, 2}, {-0.5, 2, -6, 4}));
  expect_tensor(run({"PRelu", {x, floats({2}, {0.5, 2})}, {}, 6})[0],
                floats({1, 2, 2}, {-0.5, 2, -6, 4}));
  EXPECT_EQ(error_code({"PRelu", {floats({2}, {1, 2}), floats({2, 2}, {1, 2, 3, 4})}}), "QT-E331");
}

TEST(Activation, RoundGoesToEven) {
  expect_tensor(run({"Round", {floats({4}, {0.5, 1.5, 2.5, -0.5})}})[0], floats({4}, {0, 2, 2, 0}));
}

TEST(Activation, NanAndInfinityAreTold) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = floats({3}, {inf, -inf, NAN});
  const Tensor positive = run({"IsInf", {x}, {attribute("detect_negative", int64_t{0})}})[0];
  EXPECT_EQ(positive.to_int64s(), (std::vector<int64_t>{1, 0, 0}));
  EXPECT_EQ(run({"IsNaN", {x}})[0].to_int64s(), (std::vector<int64_t>{0, 0, 1}));
}

}  // namespace qtool
