#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "qtool/format.hpp"

namespace qtool {
namespace {

// The definition, one element at a time: what every fast path must equal bit by bit.
struct Element {
  float scale;
  int32_t zero_point, low, high;

  int32_t encode(float x) const {
    const double rounded = std::nearbyint(static_cast<double>(x / scale));
    return static_cast<int32_t>(std::clamp<double>(rounded + zero_point, low, high));
  }
  float decode(int32_t code) const { return static_cast<float>(code - zero_point) * scale; }
};

// The parameters of the element at flat position i, by the text of QuantizeLinear.
Element element_of(const QParams& p, const Shape& shape, int64_t i) {
  size_t at = 0;
  if (p.axis >= 0) {
    const auto axis = static_cast<size_t>(p.axis);
    const Shape strides = strides_of(shape);
    if (p.block == 0) {
      at = static_cast<size_t>(i / strides[axis] % shape[axis]);
    } else {
      Shape scales = shape;
      scales[axis] = (shape[axis] + p.block - 1) / p.block;
      const Shape scale_strides = strides_of(scales);
      for (size_t d = 0; d < shape.size(); ++d) {
        int64_t place = i / strides[d] % shape[d];
        if (d == axis) place /= p.block;
        at += static_cast<size_t>(place * scale_strides[d]);
      }
    }
  }
  return {p.scale[at], p.zero_point[at], p.min_at(at), p.max_at(at)};
}

Tensor random_tensor(const Shape& shape, uint64_t seed) {
  Rng rng(seed);
  Tensor t(DType::kFloat, shape);
  for (float& x : t.mutable_data<float>()) x = static_cast<float>(rng.normal() * 3);
  return t;
}

void expect_definition(const Tensor& x, const QParams& p) {
  const Tensor codes = quantize(x, p), back = dequantize(codes, p), fake = fake_quantize(x, p);
  ASSERT_EQ(codes.dtype(), p.storage);
  ASSERT_EQ(codes.shape(), x.shape());
  for (int64_t i = 0; i < x.size(); ++i) {
    const Element e = element_of(p, x.shape(), i);
    const int32_t code = e.encode(x.data<float>()[static_cast<size_t>(i)]);
    ASSERT_EQ(codes.integer(i), code) << i;
    ASSERT_EQ(back.data<float>()[static_cast<size_t>(i)], e.decode(code)) << i;
  }
  ASSERT_EQ(std::memcmp(back.raw(), fake.raw(), static_cast<size_t>(back.bytes())), 0);
}

// Parameters of `count` entries that differ in everything.
QParams varied_params(DType storage, int64_t count, uint64_t seed) {
  Rng rng(seed);
  QParams p;
  p.storage = storage;
  const int bits = dtype_bits(storage);
  const int32_t low = is_signed(storage) ? -(1 << (bits - 1)) : 0, high = low + (1 << bits) - 1;
  for (int64_t i = 0; i < count; ++i) {
    p.scale.push_back(static_cast<float>(0.01 + rng.uniform()));
    p.zero_point.push_back(low +
                           static_cast<int32_t>(rng.below(static_cast<uint64_t>(high - low + 1))));
    p.code_min.push_back(low + static_cast<int32_t>(rng.below(2)));
    p.code_max.push_back(high - static_cast<int32_t>(rng.below(2)));
  }
  return p;
}

constexpr DType kContainers[] = {DType::kUint8, DType::kInt8, DType::kUint16, DType::kInt16,
                                 DType::kUint4, DType::kInt4, DType::kUint2,  DType::kInt2};

TEST(Uniform, PerTensorIsTheDefinition) {
  for (const DType storage : kContainers) {
    expect_definition(random_tensor({3, 7, 61}, 1), varied_params(storage, 1, 2));
    expect_definition(random_tensor({}, 1), varied_params(storage, 1, 2));
    expect_definition(random_tensor({0, 4}, 1), varied_params(storage, 1, 2));
  }
}

TEST(Uniform, PerAxisIsTheDefinition) {
  for (const DType storage : kContainers) {
    for (const Shape& shape :
         {Shape{5, 3, 3, 3}, Shape{2, 6, 40, 30}, Shape{7}, Shape{4, 1500}, Shape{3, 1, 2}}) {
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        QParams p = varied_params(storage, shape[axis], 3 + axis);
        p.axis = static_cast<int64_t>(axis);
        expect_definition(random_tensor(shape, 4), p);
      }
    }
  }
}

TEST(Uniform, BlockedIsTheDefinition) {
  for (const DType storage : {DType::kInt4, DType::kUint8, DType::kInt2}) {
    for (const Shape& shape : {Shape{6, 10}, Shape{3, 7, 5}, Shape{33}, Shape{2, 3000}}) {
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        for (const int64_t block : {1, 2, 4, 32, 5000}) {
          const int64_t blocks = (shape[axis] + block - 1) / block;
          QParams p = varied_params(storage, element_count(shape) / shape[axis] * blocks, 5);
          p.axis = static_cast<int64_t>(axis);
          p.block = block;
          expect_definition(random_tensor(shape, 6), p);
        }
      }
    }
  }
}

TEST(Uniform, EmptyAxesAreFine) {
  QParams p = varied_params(DType::kInt8, 0, 1);
  p.code_min = {-128};
  p.code_max = {127};
  p.axis = 0;
  EXPECT_EQ(quantize(Tensor(DType::kFloat, {0, 3}), p).size(), 0);
  p = varied_params(DType::kInt8, 4, 1);
  p.axis = 1;
  EXPECT_EQ(quantize(Tensor(DType::kFloat, {0, 4}), p).size(), 0);
}

TEST(Uniform, EveryCodeRoundTrips) {
  for (const DType storage : kContainers) {
    const int bits = dtype_bits(storage);
    const int32_t low = is_signed(storage) ? -(1 << (bits - 1)) : 0;
    for (const int32_t zero_point : {low, 0, low + (1 << (bits - 1)), low + (1 << bits) - 1}) {
      for (const float scale : {1.0f, 0.1f, 3e-39f, 1e30f, 0.0078431f}) {
        const QParams p{storage, -1, 0, {scale}, {zero_point}, {low}, {low + (1 << bits) - 1}};
        Tensor codes(storage, {1 << bits});
        for (int i = 0; i < 1 << bits; ++i) codes.set_number(i, low + i);
        const Tensor again = quantize(dequantize(codes, p), p);
        ASSERT_EQ(std::memcmp(codes.raw(), again.raw(), static_cast<size_t>(codes.bytes())), 0)
            << dtype_name(storage) << " " << zero_point << " " << scale;
      }
    }
  }
}

TEST(Uniform, IsIdempotent) {
  for (const DType storage : kContainers) {
    const QParams p = varied_params(storage, 1, 9);
    const Tensor once = fake_quantize(random_tensor({5000}, 10), p);
    const Tensor twice = fake_quantize(once, p);
    EXPECT_EQ(std::memcmp(once.raw(), twice.raw(), static_cast<size_t>(once.bytes())), 0);
  }
}

TEST(Uniform, IsMonotone) {
  for (const DType storage : kContainers) {
    const QParams p = varied_params(storage, 1, 11);
    Tensor x(DType::kFloat, {20001});
    for (int64_t i = 0; i < x.size(); ++i)
      x.set_number(i, (static_cast<double>(i) - 10000) * 0.013);
    const Tensor y = fake_quantize(x, p);
    for (size_t i = 1; i < 20001; ++i) ASSERT_LE(y.data<float>()[i - 1], y.data<float>()[i]);
  }
}

TEST(Uniform, ErrsByHalfAStepInsideTheRange) {
  Rng rng(12);
  for (int bits = 1; bits <= 16; ++bits) {
    for (const bool symmetric : {false, true}) {
      const double lo = -rng.uniform() * 5, hi = rng.uniform() * 7;
      const QuantSpec spec{
          .bits = bits, .symmetric = symmetric, .signed_codes = bits % 2 == 0, .narrow = bits > 1};
      const QParams p = affine_params(lo, hi, spec);
      for (int i = 0; i <= 1000; ++i) {
        const auto x = static_cast<float>(lo + (hi - lo) * i / 1000);
        if (symmetric && bits == 1) continue;  // codes −1 and 0 leave positive numbers out
        const double error = std::abs(fake_quantize(Tensor::scalar(x), p).number(0) - double{x});
        ASSERT_LE(error, 0.5 * p.scale[0] * (1 + 1e-3)) << bits << " " << symmetric << " " << x;
      }
    }
  }
}

TEST(Uniform, ClipsOutsideTheRange) {
  const QParams p{DType::kInt8, -1, 0, {0.5f}, {10}, {-128}, {127}};
  const Tensor x = Tensor::of<float>({6}, {1e30f, -1e30f, INFINITY, -INFINITY, 58.5f, -69});
  EXPECT_EQ(quantize(x, p).to_int64s(), (std::vector<int64_t>{127, -128, 127, -128, 127, -128}));
  EXPECT_EQ(fake_quantize(x, p).number(2), 58.5);
}

TEST(Uniform, NegativeZeroBecomesZero) {
  const QParams p{DType::kInt8, -1, 0, {1.0f}, {0}, {-128}, {127}};
  for (const float x : {-0.0f, -0.3f}) {
    EXPECT_FALSE(std::signbit(fake_quantize(Tensor::scalar(x), p).number(0)));
  }
}

TEST(Uniform, NanIsAnError) {
  const QParams p{DType::kInt8, -1, 0, {1.0f}, {0}, {-128}, {127}};
  Tensor x(DType::kFloat, {3000});
  x.mutable_data<float>()[2999] = NAN;
  EXPECT_THROW(quantize(x, p), Error);
  EXPECT_THROW(fake_quantize(x, p), Error);
}

TEST(Uniform, InPlaceKeepsNan) {
  std::vector<float> values(37, 0.3f);
  values[5] = NAN;
  fake_quantize_inplace(values, 0.25f, 3, 0, 15);
  for (size_t i = 0; i < values.size(); ++i) {
    if (i == 5) {
      EXPECT_TRUE(std::isnan(values[i]));
    } else {
      EXPECT_EQ(values[i], 0.25f);
    }
  }
  fake_quantize_inplace({}, 1, 0, 0, 1);
}

TEST(Uniform, InPlaceEqualsTheTensorForm) {
  const QParams p{DType::kUint8, -1, 0, {0.037f}, {101}, {0}, {255}};
  for (const int64_t count : {1, 7, 8, 9, 31, 1000, 4097}) {
    const Tensor x = random_tensor({count}, 13);
    Tensor y = x;
    fake_quantize_inplace(y.mutable_data<float>(), 0.037f, 101, 0, 255);
    EXPECT_EQ(std::memcmp(y.raw(), fake_quantize(x, p).raw(), static_cast<size_t>(y.bytes())), 0);
  }
}

TEST(Uniform, TakesOtherFloats) {
  const QParams p{DType::kInt8, -1, 0, {0.5f}, {0}, {-128}, {127}};
  const Tensor x = Tensor::of<float>({3}, {1, -2.25f, 3});
  for (const DType type : {DType::kFloat16, DType::kBfloat16, DType::kDouble}) {
    EXPECT_EQ(quantize(cast(x, type), p).to_int64s(), quantize(x, p).to_int64s());
  }
  EXPECT_THROW(quantize(Tensor(DType::kInt32, {1}), p), Error);
  EXPECT_THROW(quantize(Tensor(), p), Error);
  EXPECT_THROW(dequantize(Tensor(DType::kFloat, {1}), p), Error);
  EXPECT_EQ(dequantize(cast(Tensor::of<float>({1}, {-3}), DType::kInt4), p).number(0), -1.5);
}

TEST(Uniform, ParametersThatDoNotFitAreErrors) {
  const QParams good{DType::kInt8, 0, 0, {1.0f, 1.0f}, {0, 0}, {-128}, {127}};
  const Tensor x(DType::kFloat, {2, 3});
  EXPECT_NO_THROW(quantize(x, good));
  const auto fails = [&](const std::function<void(QParams&)>& change) {
    QParams p = good;
    change(p);
    try {
      quantize(x, p);
    } catch (const Error& error) {
      return error.code() == "QT-E351";
    }
    return false;
  };
  EXPECT_TRUE(fails([](QParams& p) { p.axis = 2; }));
  EXPECT_TRUE(fails([](QParams& p) { p.axis = 1; }));
  EXPECT_TRUE(fails([](QParams& p) { p.axis = -1; }));
  EXPECT_TRUE(fails([](QParams& p) { p.block = 1; }));
  EXPECT_TRUE(fails([](QParams& p) { p.block = 2; }));
  EXPECT_TRUE(fails([](QParams& p) { p.scale[1] = 0; }));
  EXPECT_TRUE(fails([](QParams& p) { p.scale[1] = -1; }));
  EXPECT_TRUE(fails([](QParams& p) { p.scale[1] = NAN; }));
  EXPECT_TRUE(fails([](QParams& p) { p.scale[1] = INFINITY; }));
  EXPECT_TRUE(fails([](QParams& p) { p.zero_point = {0}; }));
  EXPECT_TRUE(fails([](QParams& p) { p.zero_point[0] = 128; }));
  EXPECT_TRUE(fails([](QParams& p) { p.code_min = {}; }));
  EXPECT_TRUE(fails([](QParams& p) { p.code_max = {1, 2, 3}; }));
  EXPECT_TRUE(fails([](QParams& p) { p.code_max = {200}; }));
  EXPECT_TRUE(fails([](QParams& p) {
    p.code_min = {5};
    p.code_max = {4};
  }));
  EXPECT_TRUE(fails([](QParams& p) { p.storage = DType::kInt32; }));
  EXPECT_TRUE(fails([](QParams& p) { p.storage = DType::kFloat; }));
}

}  // namespace
}  // namespace qtool
