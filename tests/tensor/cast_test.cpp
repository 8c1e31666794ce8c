#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "qtool/tensor.hpp"

namespace qtool {
namespace {

std::vector<DType> numeric_types() {
  std::vector<DType> types;
  for (int i = 1; i <= 26; ++i) {
    const auto type = static_cast<DType>(i);
    if (type != DType::kString && type != DType::kComplex64 && type != DType::kComplex128)
      types.push_back(type);
  }
  return types;
}

std::vector<double> numbers(const Tensor& t) {
  std::vector<double> out;
  for (int64_t i = 0; i < t.size(); ++i) out.push_back(t.number(i));
  return out;
}

TEST(Casts, EveryPairKeepsZeroAndOne) {
  for (const DType from : numeric_types()) {
    Tensor input(from, {1025});  // more than one run, odd
    for (int64_t i = 0; i < input.size(); ++i) input.set_number(i, i % 3 == 1 ? 1 : 0);
    for (const DType to : numeric_types()) {
      const Tensor out = cast(input, to);
      ASSERT_EQ(out.dtype(), to);
      ASSERT_EQ(out.shape(), input.shape());
      for (int64_t i = 0; i < input.size(); ++i) {
        // A power of two is never zero.
        const bool no_zero = from == DType::kFloat8E8M0 && (to == DType::kBool || i % 3 == 1);
        const double want = i % 3 == 1 || no_zero                                    ? 1
                            : to == DType::kFloat8E8M0 || from == DType::kFloat8E8M0 ? out.number(i)
                                                                                     : 0;
        ASSERT_EQ(out.number(i), want)
            << dtype_name(from) << " to " << dtype_name(to) << " at " << i;
      }
    }
  }
}

TEST(Casts, ToTheSameTypeSharesBytes) {
  const Tensor t = Tensor::of<float>({2}, {1, 2});
  EXPECT_TRUE(cast(t, DType::kFloat).shares_bytes_with(t));
}

TEST(Casts, FloatsTruncate) {
  const Tensor t = Tensor::of<float>({6}, {1.9f, -1.9f, 0.5f, -0.5f, 100.99f, -100.99f});
  for (const DType to : {DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64}) {
    EXPECT_EQ(numbers(cast(t, to)), (std::vector<double>{1, -1, 0, 0, 100, -100}))
        << dtype_name(to);
  }
}

TEST(Casts, OutOfRangeFloatsAreWhatTheProcessorMakesOfThem) {
  const Tensor t = Tensor::of<float>({5}, {300, -1, 3e9f, NAN, INFINITY});
  EXPECT_EQ(numbers(cast(t, DType::kUint8)), (std::vector<double>{44, 255, 0, 0, 0}));
  EXPECT_EQ(cast(t, DType::kInt32).integer(2), INT32_MIN);
  EXPECT_EQ(cast(t, DType::kInt32).integer(3), INT32_MIN);
  EXPECT_EQ(cast(t, DType::kInt64).integer(2), 3000000000);
  EXPECT_EQ(cast(t, DType::kInt64).integer(4), INT64_MIN);
  EXPECT_EQ(cast(t, DType::kUint32).number(2), 3e9);
  EXPECT_EQ(cast(Tensor::scalar(1.5e19), DType::kUint64).number(0), 1.5e19);
  EXPECT_EQ(cast(Tensor::scalar(-2147483648.5), DType::kInt32).integer(0), INT32_MIN);
}

TEST(Casts, IntegersWrap) {
  EXPECT_EQ(cast(Tensor::scalar<int16_t>(200), DType::kInt8).integer(0), -56);
  EXPECT_EQ(cast(Tensor::scalar<int32_t>(-1), DType::kUint16).integer(0), 65535);
  EXPECT_EQ(cast(Tensor::scalar<uint64_t>(UINT64_MAX), DType::kInt64).integer(0), -1);
  const Tensor t = Tensor::of<int32_t>({4}, {8, -9, 15, 16});
  EXPECT_EQ(numbers(cast(t, DType::kInt4)), (std::vector<double>{-8, 7, -1, 0}));
  EXPECT_EQ(numbers(cast(t, DType::kUint4)), (std::vector<double>{8, 7, 15, 0}));
  EXPECT_EQ(numbers(cast(Tensor::of<float>({4}, {-3, 2, 3, -1.9f}), DType::kInt2)),
            (std::vector<double>{1, -2, -1, -1}));
}

TEST(Casts, LargeIntegersRoundOnce) {
  // On a midpoint of floats as a double, above it as an integer.
  const int64_t value = (1ll << 60) + (1ll << 36) + 1;
  EXPECT_EQ(cast(Tensor::scalar(value), DType::kFloat).data<float>()[0], static_cast<float>(value));
  EXPECT_EQ(cast(Tensor::scalar<uint64_t>(UINT64_MAX), DType::kFloat).number(0), 0x1p64);
  EXPECT_EQ(cast(Tensor::scalar<int64_t>(1000000), DType::kFloat16).number(0), INFINITY);
}

TEST(Casts, ToBoolIsNonzero) {
  const Tensor t = Tensor::of<float>({5}, {0, -0.0f, 0.1f, NAN, -3});
  EXPECT_EQ(numbers(cast(t, DType::kBool)), (std::vector<double>{0, 0, 1, 1, 1}));
  EXPECT_EQ(numbers(cast(Tensor::of<int32_t>({2}, {256, 0}), DType::kBool)),
            (std::vector<double>{1, 0}));
}

TEST(Casts, AnyNonzeroByteIsTrue) {
  const auto bytes = std::make_shared<std::vector<uint8_t>>(std::vector<uint8_t>{0, 1, 2, 255});
  const Tensor t = Tensor::view(DType::kBool, {4}, bytes->data(), bytes);
  EXPECT_EQ(numbers(cast(t, DType::kInt32)), (std::vector<double>{0, 1, 1, 1}));
}

TEST(Casts, PackedTailsAreZero) {
  const Tensor t = cast(Tensor::of<int32_t>({3}, {-1, -1, -1}), DType::kInt4);
  EXPECT_EQ(static_cast<const uint8_t*>(t.raw())[1], 0x0f);
}

TEST(Casts, EmptyTensorsStayEmpty) {
  for (const DType to : numeric_types())
    EXPECT_EQ(cast(Tensor(DType::kFloat, {0, 3}), to).size(), 0);
  EXPECT_EQ(cast(Tensor(DType::kFloat, {0}), DType::kString).size(), 0);
}

TEST(Casts, ComplexIsUnsupported) {
  EXPECT_THROW(cast(Tensor(DType::kComplex64, {1}), DType::kFloat), Error);
  EXPECT_THROW(cast(Tensor(DType::kFloat, {1}), DType::kComplex128), Error);
  EXPECT_THROW(cast(Tensor(), DType::kFloat), Error);
  EXPECT_THROW(cast(Tensor(DType::kFloat, {1}), DType::kUndefined), Error);
}

TEST(Casts, NumbersFromStrings) {
  const Tensor t =
      Tensor::strings({9}, {"3.14", "1000", "1e-5", "1E8", "+INF", "-inf", "NaN", "+7", "1e50"});
  const auto out = numbers(cast(t, DType::kFloat));
  EXPECT_EQ(out[0], 3.14f);
  EXPECT_EQ(out[1], 1000);
  EXPECT_EQ(out[2], 1e-5f);
  EXPECT_EQ(out[3], 1e8);
  EXPECT_EQ(out[4], INFINITY);
  EXPECT_EQ(out[5], -INFINITY);
  EXPECT_TRUE(std::isnan(out[6]));
  EXPECT_EQ(out[7], 7);
  EXPECT_EQ(out[8], INFINITY);
  EXPECT_EQ(cast(Tensor::strings({1}, {"1e-60"}), DType::kFloat).number(0), 0);
  EXPECT_EQ(cast(Tensor::strings({1}, {"100.5"}), DType::kInt32).integer(0), 100);
  EXPECT_EQ(cast(Tensor::strings({1}, {"9223372036854775807"}), DType::kInt64).integer(0),
            INT64_MAX);
  EXPECT_EQ(cast(Tensor::strings({1}, {"18446744073709551615"}), DType::kUint64).number(0), 0x1p64);
  EXPECT_EQ(numbers(cast(Tensor::strings({3}, {"1", "2", "-3"}), DType::kInt4)),
            (std::vector<double>{1, 2, -3}));
}

TEST(Casts, TextThatIsNoNumberIsAnError) {
  for (const char* const text : {"", "Hello", "1x", "+", "+-1", " 1", "1 ", "0x10"}) {
    for (const DType to : {DType::kFloat, DType::kInt64}) {
      EXPECT_THROW(cast(Tensor::strings({1}, {text}), to), Error) << text;
    }
  }
}

TEST(Casts, StringsFromNumbers) {
  EXPECT_EQ(cast(Tensor::of<float>({6}, {0.1f, 1, -2.5f, 1e10f, INFINITY, NAN}), DType::kString)
                .string_data(),
            (std::vector<std::string>{"0.1", "1", "-2.5", "10000000000", "INF", "NaN"}));
  EXPECT_EQ(cast(Tensor::scalar(0.1), DType::kString).string_data()[0], "0.1");
  EXPECT_EQ(cast(Tensor::scalar<int64_t>(INT64_MIN), DType::kString).string_data()[0],
            "-9223372036854775808");
  EXPECT_EQ(cast(Tensor::scalar<uint64_t>(UINT64_MAX), DType::kString).string_data()[0],
            "18446744073709551615");
  EXPECT_EQ(cast(Tensor::of<bool>({1}, {true}), DType::kString).string_data()[0], "True");
}

TEST(Casts, StringsReadBackExactly) {
  Rng rng(5);
  for (int i = 0; i < 200; ++i) {
    const auto value =
        static_cast<float>(std::ldexp(rng.normal(), static_cast<int>(rng.below(250)) - 120));
    const Tensor t = Tensor::scalar(value);
    EXPECT_EQ(cast(cast(t, DType::kString), DType::kFloat).data<float>()[0], value);
  }
}

TEST(PackedBits, AreLowBitsFirst) {
  const Tensor codes = Tensor::of<int8_t>({3}, {1, -2, 7});
  const Tensor packed = pack_bits(codes, DType::kInt4);
  const auto* const bytes = static_cast<const uint8_t*>(packed.raw());
  EXPECT_EQ(bytes[0], 0xe1);
  EXPECT_EQ(bytes[1], 0x07);
  EXPECT_EQ(numbers(unpack_bits(packed)), numbers(codes));
  const Tensor two = pack_bits(Tensor::of<uint8_t>({5}, {3, 2, 1, 0, 3}), DType::kUint2);
  EXPECT_EQ(static_cast<const uint8_t*>(two.raw())[0], 0b00011011);
  EXPECT_EQ(static_cast<const uint8_t*>(two.raw())[1], 3);
}

TEST(PackedBits, EveryCodeRoundTrips) {
  for (const DType type : {DType::kInt4, DType::kUint4, DType::kInt2, DType::kUint2}) {
    const int count = 1 << dtype_bits(type);
    const int low = is_signed(type) ? -count / 2 : 0;
    Tensor codes(is_signed(type) ? DType::kInt8 : DType::kUint8, {count});
    for (int i = 0; i < count; ++i) codes.set_number(i, low + i);
    const Tensor back = unpack_bits(pack_bits(codes, type));
    EXPECT_EQ(back.dtype(), codes.dtype());
    EXPECT_EQ(numbers(back), numbers(codes)) << dtype_name(type);
  }
  EXPECT_THROW(pack_bits(Tensor(DType::kUint8, {1}), DType::kInt4), Error);
  EXPECT_THROW(unpack_bits(Tensor(DType::kUint8, {1})), Error);
}

}  // namespace
}  // namespace qtool
