#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "qtool/tensor.hpp"

namespace qtool {
namespace {

// A format by its two conversions; the codes of the positive finite numbers are 0 … last, in order.
struct Format {
  const char* name;
  int exponent_bits, mantissa_bits, bias;
  uint32_t last;
  std::function<float(uint32_t)> decode;
  std::function<uint32_t(float)> encode;
};

Format float8(const char* name, DType type, int exponent_bits, int mantissa_bits, int bias,
              uint32_t last) {
  return {name,
          exponent_bits,
          mantissa_bits,
          bias,
          last,
          [type](uint32_t c) { return float8_to_float(static_cast<uint8_t>(c), type); },
          [type](float x) -> uint32_t { return float_to_float8(x, type, false); }};
}

std::vector<Format> formats() {
  return {
      {"half", 5, 10, 15, 0x7bff,
       [](uint32_t c) { return half_to_float(static_cast<uint16_t>(c)); },
       [](float x) -> uint32_t { return float_to_half(x); }},
      {"bfloat16", 8, 7, 127, 0x7f7f,
       [](uint32_t c) { return bfloat16_to_float(static_cast<uint16_t>(c)); },
       [](float x) -> uint32_t { return float_to_bfloat16(x); }},
      float8("e4m3fn", DType::kFloat8E4M3FN, 4, 3, 7, 0x7e),
      float8("e4m3fnuz", DType::kFloat8E4M3FNUZ, 4, 3, 8, 0x7f),
      float8("e5m2", DType::kFloat8E5M2, 5, 2, 15, 0x7b),
      float8("e5m2fnuz", DType::kFloat8E5M2FNUZ, 5, 2, 16, 0x7f),
      {"e2m1", 2, 1, 1, 7, [](uint32_t c) { return float4_to_float(static_cast<uint8_t>(c)); },
       [](float x) -> uint32_t { return float_to_float4(x); }},
  };
}

uint32_t sign_of(const Format& f) { return 1u << (f.exponent_bits + f.mantissa_bits); }

// The value of a code by the formula of the standards.
double value_of(const Format& f, uint32_t code) {
  const auto exponent = static_cast<int>(code >> f.mantissa_bits);
  const double fraction = std::ldexp(code & ((1u << f.mantissa_bits) - 1), -f.mantissa_bits);
  return exponent == 0 ? std::ldexp(fraction, 1 - f.bias)
                       : std::ldexp(1 + fraction, exponent - f.bias);
}

TEST(SmallFloats, EveryFiniteCodeDecodesByTheFormula) {
  for (const Format& f : formats()) {
    for (uint32_t code = 0; code <= f.last; ++code) {
      ASSERT_EQ(f.decode(code), value_of(f, code)) << f.name << " " << code;
      if (code > 0) {
        ASSERT_EQ(f.decode(code | sign_of(f)), -value_of(f, code)) << f.name << " " << code;
      }
    }
  }
}

TEST(SmallFloats, EveryFiniteCodeRoundTrips) {
  for (const Format& f : formats()) {
    for (uint32_t code = 0; code <= f.last; ++code) {
      ASSERT_EQ(f.encode(f.decode(code)), code) << f.name;
      if (code > 0) {
        ASSERT_EQ(f.encode(-f.decode(code)), code | sign_of(f)) << f.name;
      }
    }
  }
}

TEST(SmallFloats, EveryMidpointRoundsToTheEvenCode) {
  for (const Format& f : formats()) {
    for (uint32_t code = 0; code < f.last; ++code) {
      const double middle = (value_of(f, code) + value_of(f, code + 1)) / 2;
      const auto tie = static_cast<float>(middle);
      ASSERT_EQ(tie, middle);
      ASSERT_EQ(f.encode(tie), code + (code & 1)) << f.name << " " << code;
      ASSERT_EQ(f.encode(std::nextafter(tie, 0.0f)), code) << f.name << " " << code;
      ASSERT_EQ(f.encode(std::nextafter(tie, INFINITY)), code + 1) << f.name << " " << code;
    }
  }
}

TEST(SmallFloats, DoublesRoundOnce) {
  // Just above a midpoint of halves, but on it as a float.
  const double value = 1 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(cast(Tensor::scalar(value), DType::kFloat16).number(0), 1 + 0x1p-10);
  EXPECT_EQ(cast(Tensor::scalar(1 + 0x1p-11), DType::kFloat16).number(0), 1);
  EXPECT_EQ(cast(Tensor::scalar(1 + 0x1p-8 + 0x1p-40), DType::kBfloat16).number(0), 1 + 0x1p-7);
}

TEST(SmallFloats, HalfAndBfloat16FollowIeee) {
  EXPECT_EQ(float_to_half(65519), 0x7bff);
  EXPECT_EQ(float_to_half(65520), 0x7c00);
  EXPECT_EQ(float_to_half(-INFINITY), 0xfc00);
  EXPECT_TRUE(std::isnan(half_to_float(float_to_half(NAN))));
  EXPECT_TRUE(std::isnan(half_to_float(float_to_half(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_EQ(half_to_float(0x7c00), INFINITY);
  EXPECT_EQ(float_to_half(-0.0f), 0x8000);
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
  EXPECT_EQ(float_to_half(0x1p-25f), 0);
  EXPECT_EQ(float_to_bfloat16(INFINITY), 0x7f80);
  EXPECT_EQ(float_to_bfloat16(3.4e38f), 0x7f80);
  EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_EQ(float_to_bfloat16(-0.0f), 0x8000);
}

// The tables of ONNX Cast: {x, E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ}.
TEST(SmallFloats, Float8TablesWithSaturation) {
  const auto row = [](float x) {
    return std::vector<int>{float_to_float8(x, DType::kFloat8E4M3FN, true),
                            float_to_float8(x, DType::kFloat8E4M3FNUZ, true),
                            float_to_float8(x, DType::kFloat8E5M2, true),
                            float_to_float8(x, DType::kFloat8E5M2FNUZ, true)};
  };
  EXPECT_EQ(row(0), (std::vector<int>{0, 0, 0, 0}));
  EXPECT_EQ(row(-0.0f), (std::vector<int>{0x80, 0, 0x80, 0}));
  EXPECT_EQ(row(-1e-30f), (std::vector<int>{0x80, 0, 0x80, 0}));
  EXPECT_EQ(row(NAN), (std::vector<int>{0x7f, 0x80, 0x7e, 0x80}));
  EXPECT_EQ(row(INFINITY), (std::vector<int>{0x7e, 0x7f, 0x7b, 0x7f}));
  EXPECT_EQ(row(-INFINITY), (std::vector<int>{0xfe, 0xff, 0xfb, 0xff}));
  EXPECT_EQ(row(1e30f), (std::vector<int>{0x7e, 0x7f, 0x7b, 0x7f}));
}

TEST(SmallFloats, Float8TablesWithoutSaturation) {
  const auto row = [](float x) {
    return std::vector<int>{float_to_float8(x, DType::kFloat8E4M3FN, false),
                            float_to_float8(x, DType::kFloat8E4M3FNUZ, false),
                            float_to_float8(x, DType::kFloat8E5M2, false),
                            float_to_float8(x, DType::kFloat8E5M2FNUZ, false)};
  };
  EXPECT_EQ(row(-NAN), (std::vector<int>{0xff, 0x80, 0xfe, 0x80}));
  EXPECT_EQ(row(INFINITY), (std::vector<int>{0x7f, 0x80, 0x7c, 0x80}));
  EXPECT_EQ(row(-INFINITY), (std::vector<int>{0xff, 0x80, 0xfc, 0x80}));
  EXPECT_EQ(row(1e30f), (std::vector<int>{0x7f, 0x80, 0x7c, 0x80}));
  EXPECT_EQ(float_to_float8(464, DType::kFloat8E4M3FN, false), 0x7e);  // rounds to 448, the largest
  EXPECT_EQ(float_to_float8(464.1f, DType::kFloat8E4M3FN, false), 0x7f);
  EXPECT_EQ(float_to_float8(61440, DType::kFloat8E5M2, false),
            0x7c);  // the tie goes to the even side
}

TEST(SmallFloats, Float8SpecialCodesDecode) {
  EXPECT_TRUE(std::isnan(float8_to_float(0x7f, DType::kFloat8E4M3FN)));
  EXPECT_TRUE(std::isnan(float8_to_float(0xff, DType::kFloat8E4M3FN)));
  EXPECT_TRUE(std::isnan(float8_to_float(0x80, DType::kFloat8E4M3FNUZ)));
  EXPECT_TRUE(std::isnan(float8_to_float(0x80, DType::kFloat8E5M2FNUZ)));
  EXPECT_EQ(float8_to_float(0x7c, DType::kFloat8E5M2), INFINITY);
  EXPECT_EQ(float8_to_float(0xfc, DType::kFloat8E5M2), -INFINITY);
  for (const int code : {0x7d, 0x7e, 0x7f, 0xfd}) {
    EXPECT_TRUE(std::isnan(float8_to_float(static_cast<uint8_t>(code), DType::kFloat8E5M2)));
  }
  EXPECT_THROW(float8_to_float(0, DType::kFloat), Error);
  EXPECT_THROW(float_to_float8(0, DType::kFloat16, true), Error);
}

TEST(SmallFloats, Float4SaturatesAlways) {
  EXPECT_EQ(float_to_float4(100), 7);
  EXPECT_EQ(float_to_float4(-INFINITY), 15);
  EXPECT_EQ(float4_to_float(float_to_float4(NAN)), 6);
  EXPECT_EQ(float_to_float4(-0.0f), 8);
  EXPECT_EQ(float_to_float4(0.25f), 0);
  EXPECT_EQ(float_to_float4(5), 6);  // between 4 and 6: the even code
}

TEST(SmallFloats, ScalesArePowersOfTwo) {
  constexpr DType kType = DType::kFloat8E8M0;
  for (int code = 0; code < 255; ++code) {
    const float value = float8_to_float(static_cast<uint8_t>(code), kType);
    ASSERT_EQ(value, std::ldexp(1.0f, code - 127));
    for (const auto rounding :
         {ScaleRounding::kUp, ScaleRounding::kDown, ScaleRounding::kNearest}) {
      ASSERT_EQ(float_to_float8(value, kType, true, rounding), code);
    }
    if (code == 0 || code == 254) continue;
    ASSERT_EQ(float_to_float8(value * 1.25f, kType, true, ScaleRounding::kUp), code + 1);
    ASSERT_EQ(float_to_float8(value * 1.75f, kType, true, ScaleRounding::kDown), code);
    ASSERT_EQ(float_to_float8(value * 1.5f, kType, true, ScaleRounding::kNearest), code + 1);
    ASSERT_EQ(float_to_float8(value * 1.49f, kType, true, ScaleRounding::kNearest), code);
  }
  EXPECT_TRUE(std::isnan(float8_to_float(255, kType)));
  EXPECT_EQ(float_to_float8(0, kType, true), 0);
  EXPECT_EQ(float_to_float8(INFINITY, kType, true), 254);
  EXPECT_EQ(float_to_float8(NAN, kType, true), 255);
  EXPECT_EQ(float_to_float8(INFINITY, kType, false), 255);
  EXPECT_EQ(float_to_float8(0, kType, false), 255);
}

}  // namespace
}  // namespace qtool
