#include "quantize/fit/active_shift.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "support/random.hpp"

namespace qtool::qdq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<float> shift_of(const Tensor& want, const Tensor& have, std::pair<double, double> range,
                            bool rows = false) {
  ActiveShift shift(range);
  shift.add(row_major(want), row_major(have), rows);
  return shift.shift();
}

TEST(ActiveShift, CountsWhereTheActivationPassesChangesOn) {
  // One channel: 1 → 0.5 inside, −9 → 0.5 means 0 there, what lies at or below 0 does not count.
  const Tensor want = Tensor::of<float>({1, 1, 5}, {1, -9, -3, 7, 5}),
               have = Tensor::of<float>({1, 1, 5}, {0.5f, 0.5f, -4, 5, 0});
  EXPECT_FLOAT_EQ(shift_of(want, have, {0, kInfinity})[0], (0.5f - 0.5f + 2) / 3);
  EXPECT_FLOAT_EQ(shift_of(want, have, {0, 6})[0], (0.5f - 0.5f + 1) / 3);
}

TEST(ActiveShift, IsThePlainMeanOfChannelsThatAreNeverInside) {
  const Tensor want = Tensor::of<float>({1, 2, 2}, {1, 2, 3, 4}),
               have = Tensor::of<float>({1, 2, 2}, {-1, -1, 1, 3});
  EXPECT_EQ(shift_of(want, have, {0, kInfinity}), (std::vector<float>{2.5f, 1.5f}));
}

TEST(ActiveShift, IsTheSameFromChannelsLastAndFromRows) {
  const int64_t samples = 3, channels = 19, positions = 37;
  const Tensor want = test::normal({samples, channels, positions}, 1),
               have = test::normal({samples, channels, positions}, 2);
  const auto turned = [&](const Tensor& x) {
    Tensor y(DType::kFloat, {samples, positions, channels});
    auto to = y.mutable_data<float>();
    for (int64_t i = 0; i < x.size(); ++i) {
      const int64_t n = i / (channels * positions), c = i / positions % channels, p = i % positions;
      to[static_cast<size_t>((n * positions + p) * channels + c)] =
          x.data<float>()[static_cast<size_t>(i)];
    }
    return y;
  };
  const Tensor want_rows = turned(want), have_rows = turned(have);
  const auto last = [&](const Tensor& x) {
    return ChannelBlocks{x.data<float>().data(), {samples, channels, positions}, channels, x};
  };
  const std::vector<float> plain = shift_of(want, have, {-0.5, 1});
  ActiveShift blocks({-0.5, 1});
  blocks.add(last(want_rows), last(have_rows), false);
  EXPECT_EQ(blocks.shift(), plain);
  const std::vector<float> rows = shift_of(want_rows, have_rows, {-0.5, 1}, true);
  ASSERT_EQ(rows.size(), plain.size());
  for (size_t c = 0; c < rows.size(); ++c) EXPECT_NEAR(rows[c], plain[c], 1e-6);
}

TEST(ActiveShift, AddsUpOverChunks) {
  const Tensor want = test::normal({4, 5, 16}, 1), have = test::normal({4, 5, 16}, 2);
  const auto half = [](const Tensor& x, int64_t h) {
    return ChannelBlocks{x.data<float>().data() + h * 160, {2, 5, 16}, 1, x};
  };
  ActiveShift first({0, 2}), second({0, 2});
  first.add(half(want, 0), half(have, 0), false);
  second.add(half(want, 1), half(have, 1), false);
  first.merge(second);
  const std::vector<float> whole = shift_of(want, have, {0, 2}), parts = first.shift();
  for (size_t c = 0; c < whole.size(); ++c) EXPECT_NEAR(parts[c], whole[c], 1e-6);
}

}  // namespace
}  // namespace qtool::qdq
