#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "calibrate/observation.hpp"
#include "qtool/calibrate.hpp"
#include "support/random.hpp"

namespace qtool {
namespace {

using test::normal;

// Samples [begin, end) of a tensor.
Tensor slice(const Tensor& t, int64_t begin, int64_t end) {
  Shape shape = t.shape();
  const int64_t each = t.size() / shape[0];
  shape[0] = end - begin;
  const auto data = t.data<float>();
  return Tensor::of<float>(shape, {data.begin() + begin * each, data.begin() + end * each});
}

void expect_equal(const ValueStats& a, const ValueStats& b) {
  EXPECT_EQ(a.count, b.count);
  EXPECT_EQ(a.samples, b.samples);
  EXPECT_EQ(a.min, b.min);
  EXPECT_EQ(a.max, b.max);
  EXPECT_EQ(a.sum, b.sum);
  EXPECT_EQ(a.sum_squares, b.sum_squares);
  EXPECT_EQ(a.histogram.counts(), b.histogram.counts());
  EXPECT_EQ(a.channel_min, b.channel_min);
  EXPECT_EQ(a.channel_max, b.channel_max);
  EXPECT_EQ(a.channel_sum, b.channel_sum);
  EXPECT_EQ(a.channel_sum_squares, b.channel_sum_squares);
}

class Shapes : public ::testing::TestWithParam<Shape> {};

TEST_P(Shapes, AgreeWithPlainLoops) {
  const Tensor x = normal(GetParam(), 7);
  ValueStats s;
  s.observe(x, x.dim(0));
  const int64_t channels = x.dim(1), inner = x.size() / (x.dim(0) * channels);
  std::vector<double> low(channels, 1e9), high(channels, -1e9), sum(channels), squares(channels);
  double all = 0, all_squares = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    const size_t c = static_cast<size_t>(i / inner % channels);
    const double v = x.number(i);
    low[c] = std::min(low[c], v);
    high[c] = std::max(high[c], v);
    sum[c] += v;
    squares[c] += v * v;
    all += v;
    all_squares += v * v;
  }
  EXPECT_EQ(s.channel_min, low);
  EXPECT_EQ(s.channel_max, high);
  EXPECT_EQ(s.min, *std::min_element(low.begin(), low.end()));
  EXPECT_EQ(s.max, *std::max_element(high.begin(), high.end()));
  EXPECT_NEAR(s.sum, all, 1e-9 * all_squares);
  EXPECT_NEAR(s.sum_squares, all_squares, 1e-12 * all_squares);
  for (size_t c = 0; c < sum.size(); ++c) {
    EXPECT_NEAR(s.channel_sum[c], sum[c], 1e-9);
    EXPECT_NEAR(s.channel_sum_squares[c], squares[c], 1e-9);
  }
  EXPECT_EQ(s.count, x.size());
  EXPECT_EQ(s.samples, x.dim(0));
  EXPECT_EQ(s.elements_per_sample(), x.size() / x.dim(0));
  EXPECT_EQ(s.shape, x.shape());
}

INSTANTIATE_TEST_SUITE_P(ValueStats, Shapes,
                         ::testing::Values(Shape{1, 1}, Shape{5, 10}, Shape{4, 3, 2, 2},
                                           Shape{2, 16, 9, 7}, Shape{3, 4, 40},
                                           Shape{1, 2, 3, 4, 5}, Shape{2, 3, 33, 33}));

TEST(ValueStats, AreTheSameForAnyBatchSize) {
  const Tensor x = normal({12, 5, 6, 6}, 11);
  ValueStats whole;
  whole.observe(x, 12);
  for (int64_t batch : {1, 3, 4, 5}) {
    ValueStats pieces;
    for (int64_t s = 0; s < 12; s += batch)
      pieces.observe(slice(x, s, std::min<int64_t>(12, s + batch)),
                     std::min<int64_t>(batch, 12 - s));
    expect_equal(pieces, whole);
  }
}

TEST(ValueStats, MergeToTheWhole) {
  const Tensor x = normal({6, 4, 5}, 13);
  ValueStats whole, left, right, empty;
  whole.observe(x, 6);
  left.observe(slice(x, 0, 4), 4);
  right.observe(slice(x, 4, 6), 2);
  ValueStats all = left;
  all.merge(right);
  all.merge(empty);
  EXPECT_EQ(all.count, whole.count);
  EXPECT_EQ(all.samples, 6);
  EXPECT_EQ(all.histogram.counts(), whole.histogram.counts());
  EXPECT_EQ(all.channel_min, whole.channel_min);
  EXPECT_NEAR(all.sum, whole.sum, 1e-9);
  EXPECT_NEAR(all.channel_sum_squares[3], whole.channel_sum_squares[3], 1e-9);
  empty.merge(left);
  expect_equal(empty, left);
}

TEST(ValueStats, KeepNoChannelsWithoutAxisOneOrWhenItsLengthVaries) {
  ValueStats flat, scalar, varying, other;
  flat.observe(Tensor::of<float>({3}, {1, 2, 3}), 3);
  EXPECT_TRUE(flat.channel_min.empty());
  EXPECT_EQ(flat.sum, 6);
  scalar.observe(Tensor::scalar(2.f), 1);
  EXPECT_EQ(scalar.max, 2);
  for (int64_t length : {4, 5, 4}) varying.observe(normal({1, length, 2}, 1), 1);
  EXPECT_TRUE(varying.channel_min.empty());
  EXPECT_TRUE(varying.channel_sum.empty());
  other.observe(normal({1, 3}, 1), 1);
  ValueStats four;
  four.observe(normal({1, 4}, 1), 1);
  other.merge(four);
  EXPECT_TRUE(other.channel_max.empty());
  EXPECT_TRUE(other.channel_sum.empty());
}

TEST(ValueStats, IgnoreOtherTypesAndEmptyTensors) {
  ValueStats s;
  s.observe(Tensor::of<int64_t>({2}, {1, 2}), 1);
  s.observe(Tensor(DType::kFloat, {2, 0}), 2);
  EXPECT_EQ(s.count, 0);
  EXPECT_TRUE(s.histogram.empty());
  EXPECT_EQ(s.elements_per_sample(), 0);
}

TEST(ValueStats, RefuseNaNAndCountInfinitiesAsZero) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  ValueStats s;
  s.observe(Tensor::of<float>({1, 2, 2}, {1, -kInfinite, 3, kInfinite}), 1);
  EXPECT_EQ(s.infinite, 2);
  EXPECT_EQ(s.min, 0);
  EXPECT_EQ(s.max, 3);
  EXPECT_EQ(s.sum, 4);
  EXPECT_EQ(s.count, 4);
  try {
    s.observe(Tensor::of<float>({1, 2}, {1, std::nanf("")}), 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "QT-E460");
  }
}

TEST(ValueStats, TakeTheWholeValueWhereTheBatchIsNotAxisZero) {
  ValueStats s;
  s.observe(normal({3, 4}, 1), 2);
  EXPECT_EQ(s.samples, 2);
  EXPECT_EQ(s.count, 12);
  EXPECT_EQ(s.channel_min.size(), 4u);
}

TEST(ValueStats, ClampedForgetsWhatLiesOutside) {
  ValueStats stats;
  stats.observe(Tensor::of<float>({1, 6}, {-50, -2, -1, 0, 1, 9}), 1);
  const ValueStats inside = stats.clamped(-3, std::numeric_limits<double>::infinity());
  EXPECT_EQ(inside.min, -3);
  EXPECT_EQ(inside.max, 9);
  int64_t total = 0;
  for (int64_t c : inside.histogram.counts()) total += c;
  EXPECT_EQ(total, 5);
}

// Of large values the histogram counts an eighth beyond the first million: as many in all, near the same
// shape, and the same bytes for any batch.
TEST(ValueStats, HistogramsOfLargeValuesAreSampledAlike) {
  const Tensor x =
      normal({12, 4, 37, 1000}, 5);  // 148,000 elements a sample: whole up to the eighth
  ValueStats at_once, one_by_one;
  at_once.observe(x, 12);
  for (int64_t s = 0; s < 12; ++s) one_by_one.observe(slice(x, s, s + 1), 1);
  expect_equal(at_once, one_by_one);
  Histogram whole;
  whole.add(x.data<float>());
  int64_t total = 0, within = 0, within_whole = 0;
  for (int b = 0; b < 2 * Histogram::kHalf; ++b) {
    const auto i = static_cast<size_t>(b);
    total += at_once.histogram.counts()[i];
    if (std::abs(whole.lower_edge(b)) > 1) continue;
    within += at_once.histogram.counts()[i];
    within_whole += whole.counts()[i];
  }
  EXPECT_EQ(total, x.size());
  EXPECT_NE(at_once.histogram.counts(), whole.counts());
  EXPECT_NEAR(static_cast<double>(within), static_cast<double>(within_whole),
              2e-3 * static_cast<double>(total));
}

// The value with its channels in blocks, as ChannelBlocks says.
std::vector<float> in_blocks(const Tensor& x, int64_t block) {
  const int64_t channels = x.dim(1), positions = x.size() / (x.dim(0) * channels);
  std::vector<float> y(static_cast<size_t>(x.size()));
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t p = i % positions, c = i / positions % channels, n = i / positions / channels;
    const int64_t at = ((n * channels / block + c / block) * positions + p) * block + c % block;
    y[static_cast<size_t>(at)] = x.data<float>()[static_cast<size_t>(i)];
  }
  return y;
}

// Whatever kernels leave, the statistics have the same bits: whole samples and, beyond a million elements, sampled
// ones; channels in vectors of 16, of 8 and one by one.
TEST(ValueStats, AreTheSameForAnyLayout) {
  for (const Shape& shape : {Shape{3, 32, 9, 7}, Shape{2, 27, 5}, Shape{30, 48, 37, 29}}) {
    const Tensor x = normal(shape, 17);
    ValueStats rows;
    rows.observe(x, shape[0]);
    for (const int64_t block : {int64_t{8}, int64_t{16}, shape[1]}) {
      if (shape[1] % block) continue;
      const std::vector<float> y = in_blocks(x, block);
      ValueStats blocks;
      add_sums(blocks,
               observe_extremes(blocks, ChannelBlocks{y.data(), shape, block}, shape[0], 0));
      expect_equal(blocks, rows);
    }
  }
}

TEST(ValueStats, FindWhatIsNoNumberInBlocks) {
  const Shape shape = {1, 24, 3};
  std::vector<float> y(24 * 3, 1.f);
  ValueStats s;
  y[40] = -std::numeric_limits<float>::infinity();
  (void)observe_extremes(s, ChannelBlocks{y.data(), shape, 8}, 1, 0);
  EXPECT_EQ(s.infinite, 1);
  EXPECT_EQ(s.min, 0);
  for (const size_t at : {0, 23, 71}) {
    std::vector<float> bad(24 * 3, 1.f);
    bad[at] = std::nanf("");
    for (const int64_t block : {1, 8, 24})
      EXPECT_THROW((void)observe_extremes(s, ChannelBlocks{bad.data(), shape, block}, 1, 0), Error);
  }
}

// Of values beyond the first million elements moments look at an eighth, too.
TEST(ValueStats, MomentsOfLargeValuesAreSampledAlike) {
  const Tensor x = normal({12, 4, 37, 1000}, 6);
  ValueStats s;
  s.observe(x, 12);
  double sum = 0, squares = 0;
  for (const float v : x.data<float>()) {
    sum += v;
    squares += static_cast<double>(v) * v;
  }
  EXPECT_NEAR(s.sum_squares / squares, 1, 3e-3);
  EXPECT_NEAR((s.sum - sum) / static_cast<double>(x.size()), 0, 3e-3);
}

}  // namespace
}  // namespace qtool
