#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "qtool/calibrate.hpp"

namespace qtool {
namespace {

ValueStats stats_of(const std::vector<float>& values) {
  ValueStats s;
  s.observe(Tensor::of<float>({1, static_cast<int64_t>(values.size())}, values), 1);
  return s;
}

ValueStats sampled(int64_t count, const std::function<double(Rng&)>& draw, double scale = 1) {
  Rng rng(17);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(draw(rng)) * static_cast<float>(scale));
  return stats_of(values);
}

double normal(Rng& rng) { return rng.normal(); }
double relu(Rng& rng) { return std::max(0.0, rng.normal()); }
double laplace(Rng& rng) { return std::log(1 - rng.uniform()) * (rng.uniform() < 0.5 ? 1 : -1); }
double shifted(Rng& rng) { return 5 + 0.1 * rng.normal(); }
double skewed(Rng& rng) {
  return rng.normal() < 0 ? -0.3 * rng.uniform() : -2 * std::log(1 - rng.uniform());
}

std::vector<std::function<double(Rng&)>> distributions() {
  return {normal, relu, laplace, shifted, skewed};
}

QuantSpec spec_of(int bits, bool symmetric = false) {
  QuantSpec spec;
  spec.bits = bits;
  spec.symmetric = symmetric;
  return spec;
}

std::vector<QuantSpec> specs() {
  return {spec_of(2), spec_of(4, true), spec_of(8), spec_of(8, true), spec_of(16)};
}

// Mean square error of quantizing samples over a range.
double square_error(const std::vector<float>& values, const Range& r, const QuantSpec& spec) {
  const Tensor x = Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
  const Tensor y = fake_quantize(x, affine_params(r.lo, r.hi, spec));
  double sum = 0;
  for (int64_t i = 0; i < x.size(); ++i) sum += std::pow(x.number(i) - y.number(i), 2);
  return sum / static_cast<double>(x.size());
}

class Methods : public ::testing::TestWithParam<const RangeMethod*> {};

TEST_P(Methods, StayInsideTheDataAndHoldZero) {
  for (const auto& draw : distributions()) {
    const ValueStats s = sampled(5000, draw);
    for (const QuantSpec& spec : specs()) {
      const Range r = GetParam()->choose(s, spec);
      EXPECT_LE(r.lo, 0);
      EXPECT_GE(r.hi, 0);
      EXPECT_GE(r.lo, std::min(0.0, s.min));
      EXPECT_LE(r.hi, std::max(0.0, s.max));
      EXPECT_LT(r.lo, r.hi);
    }
  }
}

TEST_P(Methods, ScaleWithTheData) {
  for (const auto& draw : {relu, skewed}) {
    const ValueStats once = sampled(5000, draw), twice = sampled(5000, draw, 2);
    for (const QuantSpec& spec : specs()) {
      const Range a = GetParam()->choose(once, spec), b = GetParam()->choose(twice, spec);
      EXPECT_EQ(2 * a.lo, b.lo);
      EXPECT_EQ(2 * a.hi, b.hi);
    }
  }
}

TEST_P(Methods, KeepTheLowEndOfOneSidedDataAtZero) {
  for (const auto& draw : {relu, shifted}) {
    const ValueStats s = sampled(5000, draw), negative = sampled(5000, draw, -1);
    for (const QuantSpec& spec : specs()) {
      EXPECT_EQ(GetParam()->choose(s, spec).lo, 0);
      EXPECT_EQ(GetParam()->choose(negative, spec).hi, 0);
    }
  }
}

TEST_P(Methods, CopeWithDegenerateData) {
  for (const QuantSpec& spec : specs()) {
    const Range none = GetParam()->choose(ValueStats(), spec),
                zero = GetParam()->choose(stats_of({0, 0, 0}), spec);
    const Range constant = GetParam()->choose(stats_of({3, 3, 3}), spec),
                negative = GetParam()->choose(stats_of({-3, -3}), spec);
    EXPECT_EQ(none.hi - none.lo, 0);
    EXPECT_EQ(zero.hi - zero.lo, 0);
    EXPECT_EQ(constant.lo, 0);
    EXPECT_EQ(constant.hi, 3);
    EXPECT_EQ(negative.lo, -3);
    EXPECT_EQ(negative.hi, 0);
    const Range two = GetParam()->choose(stats_of({0, 1}), spec);
    EXPECT_EQ(two.lo, 0);
    EXPECT_GT(two.hi, 0.3);
  }
}

TEST_P(Methods, NeverCutAwayAllThatIsNotZero) {
  std::vector<float> values(100000);
  values[7] = 1;
  for (const QuantSpec& spec : specs()) {
    const Range r = GetParam()->choose(stats_of(values), spec);
    EXPECT_GT(r.hi, 0.5);
  }
}

TEST_P(Methods, WidenOrKeepTheRangeWithMoreBits) {
  const ValueStats s = sampled(50000, laplace);
  double before = 0;
  for (int bits : {2, 4, 8, 16}) {
    const Range r = GetParam()->choose(s, spec_of(bits));
    EXPECT_GE(r.hi - r.lo, before * 0.99) << bits;
    before = r.hi - r.lo;
  }
}

TEST_P(Methods, AreFoundByName) {
  EXPECT_EQ(&find_range(GetParam()->name), GetParam());
  EXPECT_FALSE(GetParam()->summary.empty());
}

INSTANTIATE_TEST_SUITE_P(Ranges, Methods,
                         ::testing::ValuesIn(range_methods().begin(), range_methods().end()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(Ranges, SuggestTheNearestName) {
  try {
    find_range("percentil");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(error.hint_text().find("percentile"), std::string::npos);
  }
}

TEST(Ranges, MinmaxIsWhatWasSeen) {
  const Range r = find_range("minmax").choose(stats_of({-1, 2, 0.5}), {});
  EXPECT_EQ(r.lo, -1);
  EXPECT_EQ(r.hi, 2);
}

TEST(Ranges, PercentileCutsOneTenThousandthOffEachEnd) {
  std::vector<float> values;
  for (int i = 0; i < 1000000; ++i)
    values.push_back(static_cast<float>(i) / 500000 - 1);  // even over [−1, 1)
  const ValueStats s = stats_of(values);
  const Range r = find_range("percentile").choose(s, {});
  EXPECT_NEAR(r.lo, -0.9998, 2e-5);
  EXPECT_NEAR(r.hi, 0.9998, 2e-5);
  const Range symmetric = find_range("percentile").choose(s, spec_of(8, true));
  EXPECT_NEAR(symmetric.hi, 0.9999, 2e-5);
  EXPECT_EQ(symmetric.lo, -symmetric.hi);
}

TEST(Ranges, PercentileDropsAnOutlier) {
  Rng rng(1);
  std::vector<float> values;
  for (int i = 0; i < 100000; ++i) values.push_back(static_cast<float>(rng.uniform()));
  values[3] = 1000;
  EXPECT_LT(find_range("percentile").choose(stats_of(values), {}).hi, 1.5);
}

TEST(Ranges, MseIsNearTheBestOfAllClipRatios) {
  Rng rng(5);
  std::vector<float> values;
  for (int i = 0; i < 50000; ++i) values.push_back(static_cast<float>(laplace(rng)));
  const ValueStats s = stats_of(values);
  for (int bits : {3, 8}) {
    for (bool symmetric : {false, true}) {
      const QuantSpec spec = spec_of(bits, symmetric);
      double best = 1e9;
      for (int k = 1; k <= 100; ++k)
        best = std::min(best, square_error(values, {s.min * k / 100, s.max * k / 100}, spec));
      const double have = square_error(values, find_range("mse").choose(s, spec), spec);
      EXPECT_LE(have, best * 1.03) << bits << symmetric;
    }
  }
}

TEST(Ranges, MseOfNormalDataMatchesTheKnownOptimum) {
  // Uniform quantizers for the unit normal distribution: loading 2.513 at 4 bits, 3.92 at 8 bits (Max 1960).
  const ValueStats s = sampled(400000, normal);
  const Range four = find_range("mse").choose(s, spec_of(4));
  EXPECT_NEAR((four.hi - four.lo) / 2, 2.513, 0.15);
  const Range eight = find_range("mse").choose(s, spec_of(8));
  EXPECT_NEAR((eight.hi - eight.lo) / 2, 3.92, 0.25);
}

TEST(Ranges, LpClipsNoMoreThanMse) {
  const ValueStats s = sampled(50000, laplace);
  const Range mse = find_range("mse").choose(s, spec_of(4)),
              lp = find_range("lp").choose(s, spec_of(4));
  EXPECT_GE(lp.hi - lp.lo, mse.hi - mse.lo);
}

TEST(Ranges, EntropyClipsALongTailAndKeepsAnEvenOne) {
  const ValueStats tail =
      sampled(200000, [](Rng& rng) { return std::pow(-std::log(1 - rng.uniform()), 3); });
  const Range clipped = find_range("entropy").choose(tail, {});
  EXPECT_LT(clipped.hi, 0.8 * tail.max);
  EXPECT_GT(clipped.hi, 0.1 * tail.max);
  const ValueStats even = sampled(200000, [](Rng& rng) { return rng.uniform(); });
  EXPECT_GT(find_range("entropy").choose(even, {}).hi, 0.95);
}

TEST(Ranges, EntropyTreatsBothEndsOfAsymmetricData) {
  const ValueStats s = sampled(100000, skewed);
  const Range r = find_range("entropy").choose(s, {});
  EXPECT_LT(r.lo, -0.2);
  EXPECT_GT(r.hi, 4);
}

}  // namespace
}  // namespace qtool
