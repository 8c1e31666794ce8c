#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "qtool/calibrate.hpp"

namespace qtool {
namespace {

std::vector<float> normals(int64_t count, uint64_t seed, double scale = 1) {
  Rng rng(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(rng.normal() * scale);
  return values;
}

// The definition: bin i holds [i, i + 1) · 2^exponent.
std::vector<int64_t> plain_counts(const std::vector<float>& values, int exponent) {
  std::vector<int64_t> counts(2 * Histogram::kHalf);
  for (float v : values)
    ++counts[static_cast<size_t>(std::floor(std::ldexp(static_cast<double>(v), -exponent)) +
                                 Histogram::kHalf)];
  return counts;
}

TEST(Histogram, CountsAsItsDefinitionForAnyNumberOfValues) {
  for (int64_t count : {1, 7, 8, 9, 4095, 4096, 4103, 5000}) {
    const std::vector<float> values = normals(count, 3);
    Histogram h;
    h.add(values);
    EXPECT_EQ(h.counts(), plain_counts(values, h.exponent())) << count;
  }
}

TEST(Histogram, HasTheSmallestExponentThatHoldsEveryValue) {
  const auto exponent = [](float v) {
    Histogram h;
    h.add(std::vector<float>{v});
    return h.exponent();
  };
  EXPECT_EQ(exponent(2047.9f), 0);
  EXPECT_EQ(exponent(2048.f), 1);
  EXPECT_EQ(exponent(-2048.f), 0);
  EXPECT_EQ(exponent(-2048.5f), 1);
  EXPECT_EQ(exponent(1.f), -10);
  EXPECT_EQ(exponent(-1.f), -11);
}

TEST(Histogram, DoesNotDependOnTheOrderOfTheData) {
  std::vector<float> values = normals(3000, 5);
  for (size_t i = 0; i < values.size(); i += 3) values[i] *= 1000;
  for (size_t i = 1; i < values.size(); i += 3) values[i] *= 1e-6f;
  Histogram whole, pieces, backward, left, right;
  whole.add(values);
  for (size_t i = 0; i < values.size(); i += 37)
    pieces.add(std::span(values).subspan(i, std::min<size_t>(37, values.size() - i)));
  std::vector<float> reversed(values.rbegin(), values.rend());
  std::sort(reversed.begin(), reversed.end());
  for (float v : reversed) backward.add(std::span(&v, 1));
  left.add(std::span(values).subspan(0, 1000));
  right.add(std::span(values).subspan(1000));
  Histogram merged = right;
  merged.merge(left);
  left.merge(right);
  for (const Histogram* h : {&pieces, &backward, &merged, &left}) {
    EXPECT_EQ(h->exponent(), whole.exponent());
    EXPECT_EQ(h->counts(), whole.counts());
  }
}

TEST(Histogram, HoldsEveryFiniteFloat) {
  constexpr float kMost = std::numeric_limits<float>::max(),
                  kLeast = std::numeric_limits<float>::denorm_min();
  Histogram h;
  h.add(std::vector<float>{kLeast, -kLeast, 0.f, -0.f});
  EXPECT_EQ(h.counts()[Histogram::kHalf], 3);
  EXPECT_EQ(h.counts()[Histogram::kHalf - 1], 1);
  h.add(std::vector<float>{kMost, -kMost});
  EXPECT_EQ(h.counts().front(), 1);
  EXPECT_EQ(h.counts().back(), 1);
  // A tiny negative value stays below zero however wide the bins are.
  h.add(std::vector<float>(5000, -kLeast));
  EXPECT_EQ(h.counts()[Histogram::kHalf - 1], 5001);
}

TEST(Histogram, LeavesOutWhatIsNotFinite) {
  Histogram h;
  h.add(std::vector<float>{1.f, std::nanf(""), std::numeric_limits<float>::infinity()});
  h.add(std::vector<float>{-std::numeric_limits<float>::infinity()});
  int64_t total = 0;
  for (int64_t c : h.counts()) total += c;
  EXPECT_EQ(total, 1);
}

TEST(Histogram, KnowsItsEdges) {
  Histogram h;
  h.add(std::vector<float>{3.f});
  EXPECT_DOUBLE_EQ(h.bin_width(), std::ldexp(1.0, -9));
  EXPECT_DOUBLE_EQ(h.lower_edge(Histogram::kHalf), 0);
  EXPECT_DOUBLE_EQ(h.lower_edge(0), -4);
}

TEST(Histogram, IsMadeOfItsParts) {
  Histogram h;
  h.add(normals(100, 1));
  const Histogram copy = Histogram::from_parts(h.exponent(), h.counts());
  EXPECT_EQ(copy.counts(), h.counts());
  EXPECT_TRUE(Histogram().empty());
  EXPECT_THROW(Histogram::from_parts(0, {1, 2}), Error);
}

}  // namespace
}  // namespace qtool
