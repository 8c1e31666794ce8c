// Fast functions of floats, point by point.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

// Of one operator at these points.
std::vector<double> at(const char* type, const std::vector<float>& points) {
  const auto count = static_cast<int64_t>(points.size());
  const Tensor y = Executor(model_from_text(cat("<ir_version: 8, opset_import: [\"\": 18]> g "
                                                "(float[n] x) => (float[n] y) { y = ",
                                                type, "(x) }")))
                       .run({{"x", Tensor::of<float>({count}, points)}})[0];
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(y.number(i));
  return values;
}

constexpr float kHuge = std::numeric_limits<float>::infinity();

// Relative to the value itself, out to where it vanishes.
TEST(FloatFunctions, SoftplusAndMishKeepTheirTails) {
  std::vector<float> points;
  for (int i = -1000; i <= 1000; ++i) points.push_back(0.08f * static_cast<float>(i));
  const std::vector<double> softplus = at("Softplus", points), mish = at("Mish", points);
  for (size_t i = 0; i < points.size(); ++i) {
    const double v = points[i], want = std::log1p(std::exp(-std::abs(v))) + std::max(v, 0.0);
    EXPECT_NEAR(softplus[i], want, 1e-6 * want) << v;
    EXPECT_NEAR(mish[i], v * std::tanh(want), 1e-6 * std::abs(v * std::tanh(want))) << v;
  }
}

// In units of the last place of single precision, near 0 of 1e-7.
void expect_close(const char* type, double (*exact)(double), const std::vector<float>& points) {
  const std::vector<double> y = at(type, points);
  for (size_t i = 0; i < points.size(); ++i) {
    const double want = exact(points[i]);
    EXPECT_NEAR(y[i], want, 1.5e-7 * std::max(std::abs(want), 0.1)) << type << " of " << points[i];
  }
}

TEST(FloatFunctions, SineAndCosineKeepTheirPrecisionFarOut) {
  std::vector<float> points;
  for (int i = -400; i <= 400; ++i) {
    points.push_back(0.037f * static_cast<float>(i));
    points.push_back(1.5707963f * static_cast<float>(i));
    points.push_back(2345.67f * static_cast<float>(i));
  }
  points.insert(points.end(), {1e6f, -3e7f, 1e20f, -3e38f});
  expect_close("Sin", std::sin, points);
  expect_close("Cos", std::cos, points);
  EXPECT_TRUE(std::isnan(at("Sin", {1, kHuge, 2})[1]));
  EXPECT_TRUE(std::isnan(at("Cos", {std::nanf(""), 1, 2})[0]));
  EXPECT_EQ(at("Cos", {0.f, kHuge})[0], 1);
}

TEST(FloatFunctions, SinesDoNotDependOnTheirNeighbours) {
  for (const char* type : {"Sin", "Cos"}) {
    std::vector<float> points;
    for (int i = 0; i < 300; ++i) points.push_back(0.731f * static_cast<float>(i - 150));
    const std::vector<double> alone = at(type, points);
    points[7] = 1e9f;
    points[280] = kHuge;
    const std::vector<double> beside = at(type, points);
    for (size_t i = 0; i < points.size(); ++i) {
      if (i == 7 || i == 280) continue;
      ASSERT_EQ(alone[i], beside[i]) << type << " of " << points[i];
    }
  }
}

TEST(FloatFunctions, LogarithmsFromTheLeastToTheLargest) {
  std::vector<float> points;
  for (float x = 1e-44f; x < 3e38f; x *= 1.37f) points.push_back(x);
  for (int i = -200; i <= 200; ++i) points.push_back(1 + 0.001f * static_cast<float>(i));
  expect_close("Log", std::log, points);
  const std::vector<double> ends = at("Log", {0.f, -0.f, -1.f, kHuge, -kHuge, std::nanf(""), 1.f});
  EXPECT_EQ(ends[0], -kHuge);
  EXPECT_EQ(ends[1], -kHuge);
  EXPECT_TRUE(std::isnan(ends[2]));
  EXPECT_EQ(ends[3], kHuge);
  EXPECT_TRUE(std::isnan(ends[4]));
  EXPECT_TRUE(std::isnan(ends[5]));
  EXPECT_EQ(ends[6], 0);
}

TEST(FloatFunctions, WholeNumbersOfEverySizeAndSign) {
  const std::vector<float> points = {0.f,   -0.f,   0.5f,        -0.5f, 1.5f,       2.5f,
                                     -2.5f, -1.2f,  0.49999997f, 3.f,   8388607.5f, -8388607.5f,
                                     1e9f,  -1e30f, kHuge,       -kHuge};
  const std::vector<double> floor = at("Floor", points), ceil = at("Ceil", points),
                            round = at("Round", points);
  for (size_t i = 0; i < points.size(); ++i) {
    EXPECT_EQ(floor[i], std::floor(points[i])) << points[i];
    EXPECT_EQ(ceil[i], std::ceil(points[i])) << points[i];
    EXPECT_EQ(round[i], std::nearbyint(points[i])) << points[i];
    EXPECT_EQ(std::signbit(ceil[i]), std::signbit(std::ceil(points[i]))) << points[i];
    EXPECT_EQ(std::signbit(round[i]), std::signbit(std::nearbyint(points[i]))) << points[i];
  }
  EXPECT_TRUE(std::isnan(at("Floor", {std::nanf("")})[0]));
}

TEST(FloatFunctions, SeluIsRelativelyPreciseNearZero) {
  std::vector<float> points;
  for (float x = 1e-30f; x < 100; x *= 1.7f) points.insert(points.end(), {x, -x});
  points.push_back(-kHuge);
  const std::vector<double> y = at("Selu", points);
  constexpr double kAlpha = 1.67326319217681884765625, kGamma = 1.05070102214813232421875;
  for (size_t i = 0; i < points.size(); ++i) {
    const double x = points[i], want = kGamma * (x > 0 ? x : kAlpha * std::expm1(x));
    EXPECT_NEAR(y[i], want, 3e-7 * std::abs(want)) << x;
  }
}

TEST(FloatFunctions, TanhReachesItsEnds) {
  const std::vector<double> y = at("Tanh", {-kHuge, -20.f, 0.f, kHuge, std::nanf("")});
  EXPECT_EQ(y[0], -1);
  EXPECT_EQ(y[1], -1);
  EXPECT_EQ(y[2], 0);
  EXPECT_EQ(y[3], 1);
  EXPECT_TRUE(std::isnan(y[4]));
}

}  // namespace
}  // namespace qtool
