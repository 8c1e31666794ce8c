#include "score/weight_change.hpp"

#include <gtest/gtest.h>

#include "support/random.hpp"

namespace qtool {
namespace {

using fisher::WeightChange;

// Codes of a weight with one scale a channel, in the order of its elements.
WeightCodes codes_of(const Shape& shape, int64_t channel_axis, DType type) {
  WeightCodes codes;
  codes.codes = Tensor(DType::kInt8, shape);
  Rng rng(3);
  for (int8_t& code : codes.codes.mutable_data<int8_t>())
    code = static_cast<int8_t>(static_cast<int>(rng.below(15)) - 7);
  codes.codes = cast(codes.codes, type);
  for (int64_t c = 0; c < shape[static_cast<size_t>(channel_axis)]; ++c)
    codes.scales.push_back(0.125f + 0.5f * static_cast<float>(c));
  return codes;
}

void expect_runs_of_the_whole(const Shape& shape, int64_t channel_axis, DType type) {
  const WeightCodes codes = codes_of(shape, channel_axis, type);
  const Tensor weight = test::normal(shape, 5, 1);
  const WeightChange change(codes, weight, channel_axis);
  EXPECT_TRUE(change.defined());
  const Tensor real = dequantized(codes, channel_axis);
  std::vector<float> buffer(static_cast<size_t>(weight.size()));
  for (int64_t begin = 0; begin < weight.size(); begin += 3) {
    const int64_t n = std::min<int64_t>(7, weight.size() - begin);
    const float* run = change.read(begin, n, buffer.data());
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(begin + i);
      ASSERT_EQ(run[i], real.data<float>()[at] - weight.data<float>()[at]) << begin << " " << i;
    }
  }
}

TEST(WeightChange, RunsAreThoseOfTheWholeLessTheWeight) {
  for (DType type : {DType::kInt8, DType::kFloat}) {
    expect_runs_of_the_whole({4, 3, 2, 2}, 0, type);
    expect_runs_of_the_whole({3, 4, 2}, 1, type);
    expect_runs_of_the_whole({5, 4}, 1, type);
    expect_runs_of_the_whole({2, 5, 4}, 2, type);
  }
}

TEST(WeightChange, NoneIsThereWithoutCodes) {
  EXPECT_FALSE(WeightChange().defined());
  const Tensor whole = Tensor::of<float>({2}, {1, 2});
  float unused[2];
  EXPECT_EQ(WeightChange(whole).read(1, 1, unused)[0], 2);
}

}  // namespace
}  // namespace qtool
