#include "qtool/tensor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace qtool {
namespace {

bool is_aligned(const Tensor& t) { return reinterpret_cast<uintptr_t>(t.raw()) % 64 == 0; }

std::string code_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

TEST(Tensors, StartAsZeros) {
  for (const int64_t n : {0, 1, 7, 1000, 300000, 3000000}) {
    const Tensor t(DType::kFloat, {n});
    ASSERT_EQ(t.size(), n);
    EXPECT_TRUE(is_aligned(t));
    for (const float x : t.data<float>()) ASSERT_EQ(x, 0);
  }
}

TEST(Tensors, AreZeroEvenInRecycledMemory) {
  for (int repeat = 0; repeat < 3; ++repeat) {
    Tensor t(DType::kUint8, {1 << 20});
    for (const uint8_t x : t.data<uint8_t>()) ASSERT_EQ(x, 0);
    for (uint8_t& x : t.mutable_data<uint8_t>()) x = 255;
  }
}

TEST(Tensors, DescribeThemselves) {
  const Tensor t(DType::kInt4, {3, 5});
  EXPECT_TRUE(t.defined());
  EXPECT_EQ(t.dtype(), DType::kInt4);
  EXPECT_EQ(t.shape(), (Shape{3, 5}));
  EXPECT_EQ(t.rank(), 2);
  EXPECT_EQ(t.dim(0), 3);
  EXPECT_EQ(t.dim(-1), 5);
  EXPECT_EQ(t.bytes(), 8);
  const Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_EQ(none.size(), 0);
  EXPECT_FALSE(none.shares_bytes_with(none));
}

TEST(Tensors, CopyOnWrite) {
  Tensor a = Tensor::of<float>({2}, {1, 2});
  Tensor b = a;
  EXPECT_TRUE(a.shares_bytes_with(b));
  EXPECT_FALSE(a.is_unique());
  b.mutable_data<float>()[0] = 9;
  EXPECT_FALSE(a.shares_bytes_with(b));
  EXPECT_EQ(a.data<float>()[0], 1);
  EXPECT_EQ(b.data<float>()[0], 9);
  EXPECT_TRUE(a.is_unique() && b.is_unique());
  const void* const before = a.raw();
  a.mutable_data<float>()[0] = 3;
  EXPECT_EQ(a.raw(), before);
}

TEST(Tensors, MovedFromOnesAreUndefined) {
  Tensor a = Tensor::scalar(5.0f);
  const Tensor b = std::move(a);
  EXPECT_FALSE(a.defined());  // NOLINT: what a moved-from tensor is
  EXPECT_EQ(a.rank(), 0);
  EXPECT_EQ(b.number(0), 5);
  Tensor c = Tensor::scalar<int64_t>(1);
  c = b;
  c = std::move(c);  // NOLINT
  EXPECT_EQ(c.number(0), 5);
}

TEST(Tensors, ViewsAreNeverWritten) {
  auto owner = std::make_shared<std::vector<float>>(4, 1.5f);
  Tensor t = Tensor::view(DType::kFloat, {2, 2}, owner->data(), owner);
  EXPECT_EQ(t.raw(), owner->data());
  EXPECT_EQ(owner.use_count(), 2);
  t.mutable_data<float>()[0] = 7;
  EXPECT_EQ((*owner)[0], 1.5f);
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(Tensors, ViewsOfMisalignedBytesAreCopies) {
  auto owner = std::make_shared<std::vector<uint8_t>>(9, uint8_t{0});
  (*owner)[1] = 0x80;
  (*owner)[3] = 0x80;
  (*owner)[4] = 0x3f;
  const Tensor t = Tensor::view(DType::kFloat, {2}, owner->data() + 1, owner);
  EXPECT_TRUE(is_aligned(t));
  EXPECT_EQ(t.data<float>()[0], 1.0f + 0x1p-16f);
}

TEST(Tensors, HoldStrings) {
  Tensor t = Tensor::strings({2}, {"a", "b"});
  EXPECT_EQ(t.string_data(), (std::vector<std::string>{"a", "b"}));
  Tensor u = t;
  auto& values = *static_cast<std::vector<std::string>*>(u.mutable_raw());
  values[0] = "z";
  EXPECT_EQ(t.string_data()[0], "a");
  EXPECT_EQ(u.string_data()[0], "z");
  EXPECT_EQ(Tensor(DType::kString, {3}).string_data(), std::vector<std::string>(3));
  EXPECT_EQ(t.bytes(), 0);
}

TEST(Tensors, ReshapeSharesBytes) {
  const Tensor t = Tensor::of<int32_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor u = t.reshaped({3, 2});
  EXPECT_TRUE(u.shares_bytes_with(t));
  EXPECT_EQ(u.shape(), (Shape{3, 2}));
  EXPECT_THROW(t.reshaped({4}), Error);
}

TEST(Tensors, ReinterpretKeepsBits) {
  const Tensor t = Tensor::of<float>({1}, {1});
  EXPECT_EQ(t.reinterpreted(DType::kInt32).integer(0), 0x3f800000);
  EXPECT_THROW(t.reinterpreted(DType::kInt64), Error);
  EXPECT_THROW(t.reinterpreted(DType::kString), Error);
}

TEST(Tensors, RefuseTheWrongElementType) {
  const Tensor t = Tensor::of<float>({1}, {1});
  EXPECT_EQ(code_of([&] { (void)t.data<int32_t>(); }), "QT-E900");
  EXPECT_EQ(code_of([&] { (void)t.string_data(); }), "QT-E900");
  EXPECT_EQ(code_of([] {
              Tensor none;
              none.mutable_raw();
            }),
            "QT-E900");
  EXPECT_EQ(code_of([] { Tensor::of<float>({3}, {1, 2}); }), "QT-E900");
}

TEST(Tensors, ObeyTheAllocationLimit) {
  set_max_tensor_bytes(1 << 20);
  EXPECT_EQ(code_of([] { Tensor(DType::kFloat, {1 << 19}); }), "QT-E340");
  EXPECT_EQ(code_of([] { Tensor::uninitialized(DType::kUint8, {(1 << 20) + 1}); }), "QT-E340");
  EXPECT_EQ(code_of([] { Tensor(DType::kString, {1 << 20}); }), "QT-E340");
  EXPECT_EQ(code_of([] { Tensor(DType::kUint8, {1 << 20}); }), "");
  EXPECT_EQ(code_of([] { cast(Tensor(DType::kUint8, {1 << 20}), DType::kFloat); }), "QT-E340");
  set_max_tensor_bytes(int64_t{8} << 30);
  EXPECT_EQ(code_of([] { Tensor(DType::kFloat, {1ll << 40}); }), "QT-E340");
  EXPECT_EQ(code_of([] { Tensor(DType::kFloat, {1ll << 40, 1ll << 40}); }), "QT-E340");
}

#ifndef __SANITIZE_ADDRESS__  // which aborts instead
TEST(Tensors, WhatTheSystemCannotGiveIsAnError) {
  set_max_tensor_bytes(INT64_MAX);
  EXPECT_EQ(code_of([] { Tensor(DType::kUint8, {1ll << 55}); }), "QT-E903");
  set_max_tensor_bytes(int64_t{8} << 30);
}
#endif

TEST(Numbers, ReadEveryNumericType) {
  EXPECT_EQ(Tensor::of<uint8_t>({2}, {1, 255}).number(1), 255);
  EXPECT_EQ(Tensor::of<int64_t>({1}, {-7}).number(0), -7);
  EXPECT_EQ(Tensor::of<double>({1}, {0.1}).number(0), 0.1);
  EXPECT_EQ(Tensor::of<bool>({2}, {true, false}).number(0), 1);
  EXPECT_EQ(cast(Tensor::of<float>({1}, {0.5f}), DType::kFloat16).number(0), 0.5);
  EXPECT_EQ(cast(Tensor::of<float>({3}, {1, -8, 7}), DType::kInt4).number(1), -8);
  EXPECT_EQ(code_of([] { Tensor::strings({1}, {"1"}).number(0); }), kUnsupportedCode);
  EXPECT_EQ(code_of([] { Tensor(DType::kComplex64, {1}).number(0); }), kUnsupportedCode);
  EXPECT_EQ(code_of([] { Tensor::scalar(1.0f).number(1); }), "QT-E900");
}

TEST(Numbers, IntegersAreExactOrSaturate) {
  EXPECT_EQ(Tensor::scalar<int64_t>(INT64_MAX).integer(0), INT64_MAX);
  EXPECT_EQ(Tensor::scalar<int64_t>(INT64_MIN).integer(0), INT64_MIN);
  EXPECT_EQ(Tensor::scalar<uint64_t>(UINT64_MAX).integer(0), INT64_MAX);
  EXPECT_EQ(Tensor::scalar(-2.9).integer(0), -2);
  EXPECT_EQ(Tensor::scalar(1e30).integer(0), INT64_MAX);
  EXPECT_EQ(Tensor::scalar(-INFINITY).integer(0), INT64_MIN);
  EXPECT_EQ(Tensor::scalar(NAN).integer(0), 0);
}

TEST(Numbers, SetSaturatesAndRoundsHalfToEven) {
  Tensor t(DType::kInt8, {6});
  const std::vector<double> values = {2.5, 3.5, -2.5, 1000, -1000, NAN};
  for (size_t i = 0; i < values.size(); ++i) t.set_number(static_cast<int64_t>(i), values[i]);
  EXPECT_EQ(t.to_int64s(), (std::vector<int64_t>{2, 4, -2, 127, -128, 0}));

  Tensor big(DType::kInt64, {2});
  big.set_number(0, 1e30);
  big.set_number(1, -1e30);
  EXPECT_EQ(big.to_int64s(), (std::vector<int64_t>{INT64_MAX, INT64_MIN}));

  Tensor packed(DType::kInt4, {3});
  for (int i = 0; i < 3; ++i) packed.set_number(i, 5.5 * (i - 1));
  EXPECT_EQ(packed.to_int64s(), (std::vector<int64_t>{-6, 0, 6}));
  packed.set_number(1, 99);
  EXPECT_EQ(packed.to_int64s(), (std::vector<int64_t>{-6, 7, 6}));

  Tensor flag(DType::kBool, {1});
  flag.set_number(0, 0.1);
  EXPECT_TRUE(flag.data<bool>()[0]);
}

TEST(Numbers, EveryTypeHoldsASmallNumber) {
  for (int i = 1; i <= 26; ++i) {
    const auto type = static_cast<DType>(i);
    if (type == DType::kString || type == DType::kComplex64 || type == DType::kComplex128) continue;
    Tensor t(type, {3});
    t.set_number(1, 1);
    EXPECT_EQ(t.number(1), 1) << dtype_name(type);
    EXPECT_EQ(t.integer(1), 1) << dtype_name(type);
  }
}

TEST(Numbers, ListsOfIntegersWantIntegers) {
  EXPECT_EQ(Tensor::of<int32_t>({2}, {3, -1}).to_int64s(), (std::vector<int64_t>{3, -1}));
  EXPECT_EQ(Tensor(DType::kInt64, {0}).to_int64s(), std::vector<int64_t>{});
  EXPECT_EQ(code_of([] { Tensor::scalar(1.0f).to_int64s(); }), "QT-E330");
}

}  // namespace
}  // namespace qtool
