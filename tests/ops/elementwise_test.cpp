#include <cmath>
#include <limits>

#include "ops/support.hpp"

namespace qtool {
namespace {
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
}  // namespace

TEST(Elementwise, BroadcastsLikeNumPy) {
  const Tensor a = floats({2, 1}, {1, 2}), b = floats({3}, {10, 20, 30});
  expect_tensor(run({"Add", {a, b}})[0], floats({2, 3}, {11, 21, 31, 12, 22, 32}));
  expect_tensor(run({"Mul", {a, Tensor::scalar(2.f)}})[0], floats({2, 1}, {2, 4}));
  expect_tensor(run({"Sub", {floats({0, 3}, {}), b}})[0], floats({0, 3}, {}));
  EXPECT_EQ(error_code({"Add", {floats({2}, {1, 2}), b}}).substr(0, 4), "QT-E");
}

TEST(Elementwise, OldBroadcastAlignsAtAnAxis) {
  const Tensor a = floats({2, 2, 1}, {1, 2, 3, 4}), b = floats({2}, {10, 20});
  const OpRun r{
      "Add", {a, b}, {attribute("broadcast", int64_t{1}), attribute("axis", int64_t{0})}, 6};
  expect_tensor(run(r)[0], floats({2, 2, 1}, {11, 12, 23, 24}));
}

TEST(Elementwise, WholeNumbersWrap) {
  const Tensor a = Tensor::of<uint8_t>({2}, {250, 3}), b = Tensor::of<uint8_t>({2}, {10, 5});
  expect_tensor(run({"Add", {a, b}})[0], Tensor::of<uint8_t>({2}, {4, 8}));
  expect_tensor(run({"Sub", {a, b}})[0], Tensor::of<uint8_t>({2}, {240, 254}));
  const Tensor low = Tensor::scalar<int32_t>(std::numeric_limits<int32_t>::min());
  expect_tensor(run({"Div", {low, Tensor::scalar<int32_t>(-1)}})[0], low);
  expect_tensor(run({"Neg", {low}})[0], low);
}

TEST(Elementwise, DivisionOfWholeNumbersTruncatesAndRefusesZero) {
  const Tensor a = Tensor::of<int32_t>({2}, {-7, 7}), b = Tensor::scalar<int32_t>(2);
  expect_tensor(run({"Div", {a, b}})[0], Tensor::of<int32_t>({2}, {-3, 3}));
  EXPECT_EQ(error_code({"Div", {a, Tensor::scalar<int32_t>(0)}}), "QT-E331");
  EXPECT_EQ(error_code({"Mod", {a, Tensor::scalar<int32_t>(0)}}), "QT-E331");
  expect_tensor(run({"Div", {Tensor::scalar(1.f), Tensor::scalar(0.f)}})[0],
                Tensor::scalar(kInfinity));
}

TEST(Elementwise, ModTakesTheSignOfDivisorOrDividend) {
  const Tensor a = Tensor::of<int32_t>({4}, {-7, 7, -7, 7}),
               b = Tensor::of<int32_t>({4}, {3, -3, -3, 3});
  expect_tensor(run({"Mod", {a, b}})[0], Tensor::of<int32_t>({4}, {2, -2, -1, 1}));
  expect_tensor(run({"Mod", {a, b}, {attribute("fmod", int64_t{1})}})[0],
                Tensor::of<int32_t>({4}, {-1, 1, -1, 1}));
  expect_tensor(run({"Mod", {Tensor::scalar(-5.5f), Tensor::scalar(2.f)}, {}, 28})[0],
                Tensor::scalar(0.5f));
}

TEST(Elementwise, PowKeepsTheTypeOfTheBase) {
  const Tensor base = Tensor::of<int32_t>({3}, {2, -3, 5});
  expect_tensor(run({"Pow", {base, int64s({}, {3})}})[0], Tensor::of<int32_t>({3}, {8, -27, 125}));
  expect_tensor(run({"Pow", {floats({2}, {2, 9}), floats({2}, {2, 0.5})}})[0], floats({2}, {4, 3}));
  expect_tensor(run({"Pow", {base, Tensor::scalar(2.f)}})[0], Tensor::of<int32_t>({3}, {4, 9, 25}));
}

TEST(Elementwise, NanWinsInMinAndMax) {
  const Tensor a = floats({3}, {1, kNan, 3}), b = floats({3}, {kNan, 2, 1});
  expect_tensor(run({"Max", {a, b}})[0], floats({3}, {kNan, kNan, 3}));
  expect_tensor(run({"Min", {a, b}})[0], floats({3}, {kNan, kNan, 1}));
  expect_tensor(run({"Mean", {floats({1}, {1}), floats({2}, {2, 5})}})[0], floats({2}, {1.5, 3}));
}

TEST(Elementwise, ShiftsBeyondTheWidthLeaveTheSign) {
  const auto right = attribute("direction", std::string("RIGHT")),
             left = attribute("direction", std::string("LEFT"));
  const Tensor x = Tensor::of<int8_t>({3}, {-8, -8, 5}), n = Tensor::of<int8_t>({3}, {1, 9, 9});
  expect_tensor(run({"BitShift", {x, n}, {right}, 28})[0], Tensor::of<int8_t>({3}, {-4, -1, 0}));
  expect_tensor(run({"BitShift", {x, n}, {left}, 28})[0], Tensor::of<int8_t>({3}, {-16, 0, 0}));
}

TEST(Elementwise, ComparisonsAndLogicGiveTruthValues) {
  const Tensor a = floats({3}, {1, 2, kNan}), b = floats({3}, {2, 2, kNan});
  const auto truth = [](std::vector<bool> v) {
    Tensor t(DType::kBool, {static_cast<int64_t>(v.size())});
    for (size_t i = 0; i < v.size(); ++i) t.mutable_data<bool>()[i] = v[i];
    return t;
  };
  expect_tensor(run({"Less", {a, b}})[0], truth({true, false, false}));
  expect_tensor(run({"GreaterOrEqual", {a, b}})[0], truth({false, true, false}));
  expect_tensor(run({"Equal", {a, b}})[0], truth({false, true, false}));
  expect_tensor(run({"Xor", {truth({true, false}), truth({true, true})}})[0], truth({false, true}));
  expect_tensor(run({"Not", {truth({true, false})}})[0], truth({false, true}));
  const Tensor words = Tensor::strings({2}, {"a", "b"});
  expect_tensor(run({"Equal", {words, Tensor::strings({}, {"b"})}})[0], truth({false, true}));
  expect_tensor(run({"Where", {truth({true, false}), a.reshaped({3, 1}), Tensor::scalar(7.f)}})[0],
                floats({3, 2}, {1, 7, 2, 7, kNan, 7}));
}

TEST(Elementwise, HalvesAreComputedInFloatAndRounded) {
  const Tensor a = cast(floats({2}, {1, 2048}), DType::kFloat16),
               b = cast(floats({2}, {0.0001f, 1}), DType::kFloat16);
  const Tensor sum = run({"Add", {a, b}})[0];
  EXPECT_EQ(sum.dtype(), DType::kFloat16);
  EXPECT_EQ(sum.number(0), 1);
  EXPECT_EQ(sum.number(1), 2048);
  EXPECT_EQ(error_code({"Add", {a, floats({2}, {1, 2})}}), "QT-E331");
}

}  // namespace qtool
