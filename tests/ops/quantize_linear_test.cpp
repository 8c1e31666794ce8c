#include <limits>

#include "ops/support.hpp"

namespace qtool {
namespace {
Attribute number(std::string name, int64_t value) { return attribute(std::move(name), value); }
}  // namespace

TEST(QuantizeLinear, RoundsTiesToEvenAndSaturates) {
  const Tensor x =
      floats({6}, {0.5, 1.5, -1.5, 1000, -1000, std::numeric_limits<float>::quiet_NaN()});
  const Tensor zero = Tensor::scalar<int8_t>(1);
  expect_tensor(run({"QuantizeLinear", {x, Tensor::scalar(1.f), zero}})[0],
                Tensor::of<int8_t>({6}, {1, 3, -1, 127, -128, -128}));
  EXPECT_EQ(run({"QuantizeLinear", {x, Tensor::scalar(1.f)}})[0].dtype(), DType::kUint8);
}

TEST(QuantizeLinear, ScalesPerAxisAndPerBlock) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4});
  expect_tensor(run({"QuantizeLinear",
                     {x, floats({2}, {1, 2}), Tensor::of<uint8_t>({2}, {0, 10})},
                     {number("axis", 1)}})[0],
                Tensor::of<uint8_t>({2, 2}, {1, 11, 3, 12}));
  expect_tensor(run({"QuantizeLinear",
                     {x, floats({1, 2}, {1, 2}), Tensor::of<int8_t>({1, 2}, {0, 0})},
                     {number("axis", 0), number("block_size", 2)},
                     21})[0],
                Tensor::of<int8_t>({2, 2}, {1, 1, 3, 2}));
  EXPECT_EQ(error_code({"QuantizeLinear", {x, floats({3}, {1, 1, 1})}}), "QT-E331");
  EXPECT_EQ(error_code({"QuantizeLinear", {x, floats({2}, {1, 1})}, {}, 10}), "QT-E331");
}

TEST(QuantizeLinear, PacksNarrowCodes) {
  const OpRun r{"QuantizeLinear",
                {floats({3}, {-9, 3, 20}), Tensor::scalar(1.f)},
                {number("output_dtype", 22)},
                21};
  const Tensor codes = run(r)[0];
  EXPECT_EQ(codes.dtype(), DType::kInt4);
  EXPECT_EQ(codes.to_int64s(), (std::vector<int64_t>{-8, 3, 7}));
  expect_tensor(run({"DequantizeLinear", {codes, Tensor::scalar(0.5f)}, {}, 21})[0],
                floats({3}, {-4, 1.5, 3.5}));
}

TEST(DequantizeLinear, SubtractsTheZeroPoint) {
  const Tensor x = Tensor::of<uint8_t>({2, 2}, {0, 3, 128, 255});
  expect_tensor(
      run({"DequantizeLinear", {x, Tensor::scalar(2.f), Tensor::scalar<uint8_t>(128)}})[0],
      floats({2, 2}, {-256, -250, 0, 254}));
  expect_tensor(run({"DequantizeLinear",
                     {x, floats({2}, {1, 10}), Tensor::of<uint8_t>({2}, {0, 128})},
                     {number("axis", 0)}})[0],
                floats({2, 2}, {0, 3, 0, 1270}));
  expect_tensor(run({"DequantizeLinear", {Tensor::scalar<int32_t>(-7), Tensor::scalar(0.5f)}})[0],
                Tensor::scalar(-3.5f));
  EXPECT_EQ(error_code({"DequantizeLinear", {x, Tensor::scalar(1.f), Tensor::scalar<int8_t>(0)}}),
            "QT-E331");
  EXPECT_EQ(error_code({"DequantizeLinear", {x, Tensor::scalar(1.0)}}), kUnsupportedCode);
}

TEST(DynamicQuantizeLinear, CoversZero) {
  const auto out = run({"DynamicQuantizeLinear", {floats({3}, {1, 2, 5.1f})}, {}, 11, 3});
  expect_tensor(out[1], Tensor::scalar(0.02f));
  expect_tensor(out[2], Tensor::scalar<uint8_t>(0));
  expect_tensor(out[0], Tensor::of<uint8_t>({3}, {50, 100, 255}));
  const auto zeros = run({"DynamicQuantizeLinear", {floats({1}, {0})}, {}, 11, 3});
  EXPECT_EQ(zeros[0].integer(0), 0);
}

TEST(QLinearConv, PadsWithTheZeroPoint) {
  const Tensor x = Tensor::of<uint8_t>({1, 1, 2}, {12, 14}),
               w = Tensor::of<int8_t>({1, 1, 3}, {1, 1, 1});
  const Tensor one = Tensor::scalar(1.f), in_zero = Tensor::scalar<uint8_t>(10),
               w_zero = Tensor::scalar<int8_t>(0);
  const auto pads = attribute("pads", std::vector<int64_t>{1, 1});
  expect_tensor(run({"QLinearConv",
                     {x, one, in_zero, w, one, w_zero, Tensor::scalar(2.f), in_zero,
                      Tensor::of<int32_t>({1}, {4})},
                     {pads}})[0],
                Tensor::of<uint8_t>({1, 1, 2}, {15, 15}));
  expect_tensor(
      run({"ConvInteger", {x, Tensor::of<uint8_t>({1, 1, 3}, {1, 1, 1}), in_zero}, {pads}})[0],
      Tensor::of<int32_t>({1, 1, 2}, {6, 6}));
}

}  // namespace qtool
