#include "evaluate/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace qtool {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

TEST(Metrics, WilsonMatchesKnownIntervals) {
  const auto [lo, hi] = wilson(8, 10);  // Newcombe 1998
  EXPECT_NEAR(lo, 0.4902, 1e-4);
  EXPECT_NEAR(hi, 0.9433, 1e-4);
  const auto [zero_lo, zero_hi] = wilson(0, 100);
  EXPECT_EQ(zero_lo, 0);
  EXPECT_NEAR(zero_hi, 0.0370, 1e-4);
  const auto [all_lo, all_hi] = wilson(100, 100);
  EXPECT_NEAR(all_lo, 0.9630, 1e-4);
  EXPECT_EQ(all_hi, 1);
  EXPECT_EQ(wilson(0, 0), (std::pair<double, double>{0, 1}));
}

TEST(Metrics, DifferenceOfKnownVectors) {
  const auto d =
      metrics::difference(Tensor::of<float>({3}, {1, 2, 4}), Tensor::of<float>({3}, {1, 2, 3}));
  EXPECT_NEAR(d.sqnr_db(), 10 * std::log10(14.0), 1e-12);
  EXPECT_NEAR(d.cosine(), 17 / std::sqrt(14.0 * 21), 1e-12);
  EXPECT_EQ(d.max_error, 1);
}

TEST(Metrics, DifferenceAddsUp) {
  auto a = metrics::difference(Tensor::of<float>({1}, {1}), Tensor::of<float>({1}, {3}));
  a.add(metrics::difference(Tensor::of<float>({1}, {1}), Tensor::of<float>({1}, {2})));
  EXPECT_NEAR(a.sqnr_db(), 10 * std::log10(13.0 / 5), 1e-12);
  EXPECT_EQ(a.max_error, 2);
}

TEST(Metrics, DifferenceCopesWithZerosInfinitiesAndNaN) {
  const Tensor zero = Tensor::of<float>({2}, {0, 0}), one = Tensor::of<float>({2}, {1, 1});
  EXPECT_EQ(metrics::difference(zero, zero).sqnr_db(), kInfinite);
  EXPECT_EQ(metrics::difference(zero, zero).cosine(), 1);
  EXPECT_EQ(metrics::difference(one, zero).sqnr_db(), -kInfinite);
  EXPECT_EQ(metrics::difference(one, zero).cosine(), 0);
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(
      metrics::difference(Tensor::of<float>({1}, {inf}), Tensor::of<float>({1}, {inf})).sqnr_db(),
      kInfinite);
  const auto nan =
      metrics::difference(Tensor::of<float>({1}, {std::nanf("")}), Tensor::of<float>({1}, {1}));
  EXPECT_EQ(nan.sqnr_db(), -kInfinite);
  EXPECT_TRUE(std::isnan(nan.max_error));
}

TEST(Metrics, DifferenceOfIntegers) {
  const auto d =
      metrics::difference(Tensor::of<int64_t>({2}, {3, 4}), Tensor::of<int64_t>({2}, {3, 5}));
  EXPECT_EQ(d.max_error, 1);
}

TEST(Metrics, NoiseIsToldApartBySampleWhereTheFirstAxisIsTheirs) {
  const Tensor want = Tensor::of<float>({2, 2}, {1, 2, 3, 4}),
               have = Tensor::of<float>({2, 2}, {1, 3, 5, 3});
  EXPECT_EQ(metrics::noise_by_sample(have, want, 2), (std::vector<double>{1, 5}));
  EXPECT_EQ(metrics::noise_by_sample(have, want, 3), std::vector<double>{6});
}

TEST(Metrics, ScoresAreMatricesButForOnes) {
  const auto classes = [](Shape shape, int64_t samples) {
    return metrics::scores_of(Tensor(DType::kFloat, std::move(shape)), samples).classes;
  };
  EXPECT_EQ(classes({4, 10}, 4), 10);
  EXPECT_EQ(classes({4, 10, 1, 1}, 4), 10);
  EXPECT_EQ(classes({4, 1, 1, 10}, 4), 10);
  EXPECT_EQ(classes({4, 1}, 4), 0);
  EXPECT_EQ(classes({4, 10, 7}, 4), 0);
  EXPECT_EQ(classes({3, 10}, 4), 0);
  EXPECT_EQ(classes({10}, 1), 0);
}

TEST(Metrics, TiesGoToTheFirstAndNaNToNobody) {
  const double nan = std::nan("");
  EXPECT_EQ(metrics::arg_max(std::vector<double>{1, 3, 3}), 1);
  EXPECT_EQ(metrics::arg_max(std::vector<double>{nan, 2, 1}), 1);
  EXPECT_EQ(metrics::arg_max(std::vector<double>{nan, nan}), -1);
  const std::vector<double> row = {5, 7, 5, nan, 9};
  EXPECT_EQ(metrics::rank_of(row, 4), 0);
  EXPECT_EQ(metrics::rank_of(row, 0), 2);
  EXPECT_EQ(metrics::rank_of(row, 2), 3);
  EXPECT_EQ(metrics::rank_of(row, 3), 5);
}

}  // namespace
}  // namespace qtool
