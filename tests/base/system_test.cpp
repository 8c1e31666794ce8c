#include "base/system.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "qtool/base.hpp"

namespace qtool {
namespace {

TEST(System, QuotaLines) {
  EXPECT_EQ(quota_cores_of("max 100000"), kNoQuota);
  EXPECT_EQ(quota_cores_of("200000 100000"), 2);
  EXPECT_EQ(quota_cores_of("150000 100000"), 2);
  EXPECT_EQ(quota_cores_of("10000 100000"), 1);
  for (const char* const broken : {"", "x", "1", "1 ", "0 0", "-1 5", "5 0"}) {
    EXPECT_EQ(quota_cores_of(broken), kNoQuota) << broken;
  }
}

TEST(System, DefaultThreadsAreAtLeastOneAndAtMostTheCores) {
  EXPECT_GE(default_threads(), 1);
  EXPECT_LE(default_threads(), static_cast<int>(std::thread::hardware_concurrency()));
}

TEST(System, PeakMemoryGrowsWithUse) {
  const int64_t before = peak_rss_bytes();
  EXPECT_GT(before, 1 << 20);
  std::vector<char> block(static_cast<size_t>(before) + (64 << 20), 1);
  EXPECT_GT(peak_rss_bytes(), before + (32 << 20)) << block[1];
}

TEST(System, TimeNeverGoesBack) {
  const double a = now_seconds();
  EXPECT_GE(now_seconds(), a);
}

}  // namespace
}  // namespace qtool
