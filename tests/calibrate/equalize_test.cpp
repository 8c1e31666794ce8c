#include <gtest/gtest.h>

#include "qtool/calibrate.hpp"

namespace qtool {
namespace {

CalibrationTable channels_of(const std::vector<double>& highest) {
  CalibrationTable table;
  ValueStats& stats = table.values["v"];
  stats.count = static_cast<int64_t>(100 * highest.size());
  for (double h : highest) {
    stats.max = std::max(stats.max, h);
    stats.channel_min.push_back(0);
    stats.channel_max.push_back(h);
    stats.channel_sum_squares.push_back(100 * h * h / 3);
  }
  return table;
}

TEST(Equalize, GivesEveryDepthwiseChannelTheWholeRange) {
  const Tensor weight = Tensor::of<float>({3, 1, 1, 1}, {1, -2, 3});
  const ScalableValue value{"v", {{ValueId::kNone, &weight, 0, 1, 3}}};
  const auto chosen = equalize({value}, channels_of({8, 2, 0.1}));
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_FLOAT_EQ(chosen[0].edit.factors[0], 1);
  EXPECT_FLOAT_EQ(chosen[0].edit.factors[1], 4);
  EXPECT_FLOAT_EQ(chosen[0].edit.factors[2], 16);  // the most that a channel gets
  EXPECT_GT(chosen[0].gain_db, 10);
}

TEST(Equalize, StopsWhereWeightsWouldSuffer) {
  // The narrow channel has the small weight: scaled, it would vanish beside the other.
  const Tensor weight = Tensor::of<float>({1, 2, 1, 1}, {1, 0.01f});
  const ScalableValue value{"v", {{ValueId::kNone, &weight, 0, 1, 1}}};
  EXPECT_TRUE(equalize({value}, channels_of({1, 0.2})).empty());
  EXPECT_TRUE(equalize({value}, {}).empty());
}

}  // namespace
}  // namespace qtool
