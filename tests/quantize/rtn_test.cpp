// Rounding to nearest, row by row.
#include <gtest/gtest.h>

#include <cmath>

#include "qtool/passes.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

TEST(Rtn, ReproducesWeightsThatLieOnTheGrid) {
  std::vector<float> values;
  for (int i = -8; i < 8; ++i) values.push_back(static_cast<float>(i) * 0.25f);
  const Tensor weight = Tensor::of<float>({1, 16}, values);
  const WeightCodes codes = find_optimizer("rtn").optimize({weight, 0, 4, {}, 1, false});
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_LE(std::abs(codes.codes.data<int8_t>()[i] * codes.scales[0] - values[i]), 0.15f);
}

TEST(Rtn, EightBitPairsNeverOverflowInt16) {
  Rng rng(5);
  Tensor weight(DType::kFloat, {16, 3, 3, 3});
  for (float& w : weight.mutable_data<float>()) w = static_cast<float>(rng.normal());
  const WeightCodes codes = find_optimizer("rtn").optimize({weight, 0, 8, {}, 1, true});
  Tensor real(DType::kFloat, weight.shape());
  for (int64_t i = 0; i < real.size(); ++i) real.set_number(i, codes.codes.number(i));
  const std::vector<float> rows = qdq::rows_of(real, 0);
  for (size_t r = 0; r < 16; ++r) {
    std::vector<int8_t> row(rows.begin() + static_cast<long>(r * 27),
                            rows.begin() + static_cast<long>((r + 1) * 27));
    EXPECT_TRUE(pair_sums_fit(row, 3));
  }
}

TEST(Rtn, ZeroRowsGetAUsableScale) {
  const Tensor weight(DType::kFloat, {2, 4});
  for (float s : find_optimizer("rtn").optimize({weight, 0, 8, {}, 1, true}).scales)
    EXPECT_TRUE(std::isnormal(s));
}

TEST(Rtn, BlocksHaveTheirOwnScales) {
  // A matrix [in = 4, out = 2]: rows of two blocks whose largest weights differ a thousandfold.
  const Tensor weight =
      Tensor::of<float>({4, 2}, {7, 70, 3.5f, 35, 0.007f, 0.07f, -0.007f, -0.07f});
  const OptimizerDef& rtn = find_optimizer("rtn");
  const WeightCodes blocks = rtn.optimize({weight, 1, 4, {}, 1, false, {.block = 2}});
  ASSERT_EQ(blocks.scales.size(), 4u);  // [rows × blocks]
  EXPECT_LT(blocks.scales[1] * 500, blocks.scales[0]);
  const Tensor back = dequantized(blocks, 1);
  EXPECT_NEAR(back.number(2), 3.5, 0.5);
  EXPECT_NEAR(back.number(6), -0.007, 0.0005);
  EXPECT_EQ(dequantized(rtn.optimize({weight, 1, 4, {}, 1, false}), 1).number(6), 0);
}

TEST(Rtn, OneScaleForTheTensor) {
  const Tensor weight = Tensor::of<float>({2, 3}, {1, 2, 3, 100, 50, -127});
  const WeightCodes codes =
      find_optimizer("rtn").optimize({weight, 0, 8, {}, 1, true, {.channels = 0}});
  ASSERT_EQ(codes.scales.size(), 2u);
  EXPECT_EQ(codes.scales[0], codes.scales[1]);
  EXPECT_EQ(codes.codes.number(0), std::nearbyint(1 / codes.scales[0]));
}

TEST(Rows, OfEveryWeightLayout) {
  const auto order = [](const Shape& shape, int64_t axis) {
    std::vector<int64_t> seen;
    qdq::row_layout(shape, axis).for_each([&](int64_t, int64_t, int64_t i) { seen.push_back(i); });
    return seen;
  };
  using Indices = std::vector<int64_t>;
  EXPECT_EQ(order({2, 3}, 0), (Indices{0, 1, 2, 3, 4, 5}));           // Gemm, transB
  EXPECT_EQ(order({2, 3}, 1), (Indices{0, 3, 1, 4, 2, 5}));           // MatMul
  EXPECT_EQ(order({1, 2, 2}, 0), (Indices{0, 2, 1, 3}));              // Conv in 1-D
  EXPECT_EQ(order({2, 2, 2}, 1), (Indices{0, 4, 1, 5, 2, 6, 3, 7}));  // ConvTranspose
  EXPECT_EQ(order({2, 2, 2}, 2), (Indices{0, 2, 4, 6, 1, 3, 5, 7}));  // stacked matrices
  EXPECT_EQ(order({3}, 0), (Indices{0, 1, 2}));
}

TEST(Rows, RoundTrip) {
  Tensor weight(DType::kFloat, {2, 3, 2, 2});
  for (int64_t i = 0; i < weight.size(); ++i) weight.set_number(i, static_cast<double>(i));
  const std::vector<float> rows = qdq::rows_of(weight, 0);
  EXPECT_EQ(rows[1], 4);  // the next input channel at the same kernel position
  const std::vector<int8_t> codes(rows.begin(), rows.end());
  const Tensor back = qdq::from_rows(codes, weight.shape(), 0);
  for (int64_t i = 0; i < back.size(); ++i) EXPECT_EQ(back.number(i), static_cast<double>(i));
}

}  // namespace
}  // namespace qtool
