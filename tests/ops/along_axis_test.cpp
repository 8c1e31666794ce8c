// Operators that walk an axis, against plain loops: sizes around those of vectors, the axis last and not.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/support.hpp"

namespace qtool {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMost = std::numeric_limits<float>::max();

// Waves with repeated values; `special` at some places when it is not 0.
Tensor waves(const Shape& shape, float special) {
  Tensor x(DType::kFloat, shape);
  for (int64_t i = 0; i < x.size(); ++i)
    x.set_number(i, std::round(std::sin(static_cast<double>(i * i % 1013)) * 50) / 8);
  for (int64_t i = 5; special != 0 && i < x.size(); i += 37) x.set_number(i, special);
  return x;
}

// fn(x, column) for many x of [outer, length, inner] and each of its columns along axis 1.
struct Column {
  std::vector<double> values;
  int64_t outer, inner;
};
template <typename Fn>
void for_each_case(Fn&& fn) {
  for (const float special : {0.f, kInf, -kInf, kNan, -kMost}) {
    for (const int64_t inner : {1, 3, 16, 33}) {
      for (const int64_t length : {1, 2, 7, 8, 15, 31, 32, 33, 67, 200}) {
        SCOPED_TRACE(cat(special, ", ", length, " x ", inner));
        fn(waves({2, length, inner}, special));
      }
    }
  }
}

std::vector<Column> columns(const Tensor& x) {
  std::vector<Column> all;
  for (int64_t o = 0; o < x.dim(0); ++o)
    for (int64_t i = 0; i < x.dim(2); ++i) {
      Column c{{}, o, i};
      for (int64_t k = 0; k < x.dim(1); ++k)
        c.values.push_back(x.number((o * x.dim(1) + k) * x.dim(2) + i));
      all.push_back(c);
    }
  return all;
}

void expect_close(double got, double want, double tolerance) {
  if (want != want)
    EXPECT_TRUE(got != got) << got;
  else if (std::isinf(want))
    EXPECT_EQ(got, want);
  else
    EXPECT_NEAR(got, want, tolerance * (1 + std::abs(want)));
}

const Tensor kAxis = int64s({1}, {1});

}  // namespace

TEST(AlongAxis, Reductions) {
  for_each_case([](const Tensor& x) {
    const Tensor mean = run({"ReduceMean", {x, kAxis}})[0], sum = run({"ReduceSum", {x, kAxis}})[0],
                 l1 = run({"ReduceL1", {x, kAxis}})[0], l2 = run({"ReduceL2", {x, kAxis}})[0],
                 most = run({"ReduceMax", {x, kAxis}})[0],
                 least = run({"ReduceMin", {x, kAxis}})[0];
    int64_t at = 0;
    for (const auto& [values, o, i] : columns(x)) {
      double total = 0, magnitudes = 0, squares = 0;
      for (const double v : values) total += v, magnitudes += std::abs(v), squares += v * v;
      const bool nan = std::ranges::any_of(values, [](double v) { return v != v; });
      expect_close(mean.number(at), static_cast<float>(total / double(values.size())), 1e-6);
      expect_close(sum.number(at), static_cast<float>(total), 1e-6);
      expect_close(l1.number(at), static_cast<float>(magnitudes), 1e-6);
      expect_close(l2.number(at), static_cast<float>(std::sqrt(squares)), 1e-6);
      expect_close(least.number(at), nan ? kNan : *std::ranges::min_element(values), 0);
      expect_close(most.number(at), nan ? kNan : *std::ranges::max_element(values), 0);
      ++at;
    }
  });
}

}  // namespace qtool
