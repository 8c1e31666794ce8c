#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "qtool/format.hpp"

namespace qtool {
namespace {

using Range = std::pair<int32_t, int32_t>;

TEST(CodeRange, FollowsBitsAndKind) {
  EXPECT_EQ(code_range({.bits = 8}), (Range{0, 255}));
  EXPECT_EQ(code_range({.bits = 8, .signed_codes = true}), (Range{-128, 127}));
  EXPECT_EQ(code_range({.bits = 8, .symmetric = true}), (Range{-128, 127}));
  EXPECT_EQ(code_range({.bits = 8, .symmetric = true, .narrow = true}), (Range{-127, 127}));
  EXPECT_EQ(code_range({.bits = 4}), (Range{0, 15}));
  EXPECT_EQ(code_range({.bits = 2, .symmetric = true, .narrow = true}), (Range{-1, 1}));
  EXPECT_EQ(code_range({.bits = 1}), (Range{0, 1}));
  EXPECT_EQ(code_range({.bits = 16}), (Range{0, 65535}));
  for (const int bits : {-1, 0, 17, 1000}) EXPECT_THROW(code_range({.bits = bits}), Error) << bits;
}

TEST(ContainerOf, HoldsTheCodes) {
  for (int bits = 1; bits <= 16; ++bits) {
    for (const bool symmetric : {false, true}) {
      for (const bool signed_codes : {false, true}) {
        const QuantSpec spec{.bits = bits, .symmetric = symmetric, .signed_codes = signed_codes};
        const DType type = container_of(spec);
        EXPECT_EQ(dtype_bits(type), bits <= 8 ? 8 : 16);
        EXPECT_EQ(is_signed(type), symmetric || signed_codes);
      }
    }
  }
}

TEST(RoundHalfEven, BreaksTiesToEven) {
  EXPECT_EQ(round_half_even(0.5f), 0);
  EXPECT_EQ(round_half_even(1.5f), 2);
  EXPECT_EQ(round_half_even(2.5f), 2);
  EXPECT_EQ(round_half_even(-0.5f), 0);
  EXPECT_EQ(round_half_even(-1.5f), -2);
  EXPECT_EQ(round_half_even(0.50001f), 1);
  EXPECT_EQ(round_half_even(8388609.0f), 8388609.0f);
}

TEST(AffineParams, CoverTheRangeAndZero) {
  const QParams p = affine_params(-1, 3, {.bits = 8});
  EXPECT_EQ(p.storage, DType::kUint8);
  EXPECT_FLOAT_EQ(p.scale[0], 4.0f / 255);
  EXPECT_EQ(p.zero_point[0], 64);
  EXPECT_EQ(affine_params(2, 3, {.bits = 8}).zero_point[0], 0);  // 0 is in the range
  EXPECT_EQ(affine_params(-3, -2, {.bits = 8}).zero_point[0], 255);
  EXPECT_EQ(affine_params(-1, 3, {.bits = 8, .signed_codes = true}).zero_point[0], 64 - 128);
  const QParams s = affine_params(-3, 1, {.bits = 8, .symmetric = true});
  EXPECT_FLOAT_EQ(s.scale[0], 3.0f / 127);
  EXPECT_EQ(s.zero_point[0], 0);
}

TEST(AffineParams, DegenerateRangesGetANormalScale) {
  for (const bool symmetric : {false, true}) {
    for (const int bits : {1, 2, 8, 16}) {
      const QuantSpec spec{.bits = bits, .symmetric = symmetric};
      for (const auto& [lo, hi] : std::vector<std::pair<double, double>>{
               {0, 0}, {0, 1e-300}, {-1e-45, 1e-45}, {-3e38, 3e38}, {-1e300, 1e300}, {5, 5}}) {
        const QParams p = affine_params(lo, hi, spec);
        EXPECT_TRUE(std::isnormal(p.scale[0]) && p.scale[0] > 0) << lo << " " << hi << " " << bits;
        EXPECT_GE(p.zero_point[0], p.min_at(0));
        EXPECT_LE(p.zero_point[0], std::max(p.max_at(0), 0));
        EXPECT_EQ(fake_quantize(Tensor::scalar(0.0f), p).number(0), 0);
      }
    }
  }
}

TEST(AffineParams, RefuseWhatIsNoRange) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_THROW(affine_params(std::nan(""), 1, {}), Error);
  EXPECT_THROW(affine_params(0, inf, {}), Error);
  EXPECT_THROW(affine_params(-inf, 0, {}), Error);
  EXPECT_THROW(affine_params(1, 0, {}), Error);
}

TEST(SymmetricParams, TakeScalesByChannel) {
  const QParams p = symmetric_params({0.5f, 2}, 1, {.bits = 4, .narrow = true});
  EXPECT_EQ(p.storage, DType::kInt8);
  EXPECT_EQ(p.axis, 1);
  EXPECT_EQ(p.zero_point, (std::vector<int32_t>{0, 0}));
  EXPECT_EQ(p.min_at(1), -7);
  EXPECT_EQ(p.max_at(0), 7);
}

}  // namespace
}  // namespace qtool
