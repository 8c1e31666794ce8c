#include "qtool/dyadic.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace qtool {
namespace {

TEST(Dyadic, PowersOfTwoAreShifts) {
  for (int k = 1; k <= 60; ++k) {
    const Dyadic d = dyadic(std::array{std::ldexp(1.0, -k)});
    EXPECT_EQ(d.multipliers[0], 1) << k;
    EXPECT_EQ(d.shift, k);
    EXPECT_EQ(d.error, 0);
  }
  EXPECT_EQ(dyadic(std::array{4.0}).multipliers[0],
            8);  // there is one bit behind the point at least
}

TEST(Dyadic, MultipliersHaveThirtyOneBits) {
  Rng rng(5);
  for (int i = 0; i < 2000; ++i) {
    const double ratio = std::exp2(rng.uniform() * 55 - 29);
    const Dyadic d = dyadic(std::array{ratio});
    EXPECT_GT(d.multipliers[0], 0);
    EXPECT_LT(d.multipliers[0], int64_t{1} << 31);
    EXPECT_NEAR(std::ldexp(static_cast<double>(d.multipliers[0]), -d.shift) / ratio, 1,
                std::ldexp(1.0, -30));
    EXPECT_LE(d.error, std::ldexp(1.0, -30));
  }
}

TEST(Dyadic, TermsOfASumShareTheShift) {
  const Dyadic d = dyadic(std::array{0.75, 0.001});
  EXPECT_EQ(d.multipliers.size(), 2u);
  EXPECT_NEAR(std::ldexp(static_cast<double>(d.multipliers[0]), -d.shift), 0.75, 1e-9);
  EXPECT_NEAR(std::ldexp(static_cast<double>(d.multipliers[1]), -d.shift), 0.001, 1e-9);
}

TEST(Dyadic, RatiosTooSmallForAnyCodeBecomeZero) {
  EXPECT_EQ(dyadic(std::array{1e-30}).multipliers[0], 0);
}

TEST(Dyadic, RefusesWhatIsNoRatio) {
  for (double ratio : {0.0, -1.0, double{INFINITY}, std::nan(""), 4e9})
    EXPECT_THROW(dyadic(std::array{ratio}), Error) << ratio;
}

}  // namespace
}  // namespace qtool
