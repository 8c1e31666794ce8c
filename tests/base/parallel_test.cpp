#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "qtool/base.hpp"

namespace qtool {
namespace {

TEST(ParallelFor, VisitsEveryIndexOnce) {
  for (const int threads : {-1, 0, 1, 2, 3, 16}) {
    for (const int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
      parallel_for(threads, count, [&](int64_t i, int worker) {
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, std::max(threads, 1));
        ++visits[static_cast<size_t>(i)];
      });
      for (const auto& n : visits) EXPECT_EQ(n, 1);
    }
  }
}

TEST(ParallelFor, OneItemOrOneThreadRunsInline) {
  const auto caller = std::this_thread::get_id();
  parallel_for(8, 1, [&](int64_t, int) { EXPECT_EQ(std::this_thread::get_id(), caller); });
  parallel_for(1, 5, [&](int64_t, int) { EXPECT_EQ(std::this_thread::get_id(), caller); });
}

TEST(ParallelFor, WorkersRunOneItemAtATime) {
  std::array<std::atomic<int>, 4> busy{};
  parallel_for(4, 200, [&](int64_t, int worker) {
    auto& mine = busy[static_cast<size_t>(worker)];
    EXPECT_EQ(++mine, 1);
    std::this_thread::yield();
    --mine;
  });
}

TEST(ParallelFor, RethrowsTheLowestFailure) {
  for (const int threads : {1, 2, 4}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      try {
        parallel_for(threads, 100, [](int64_t i, int) {
          if (i >= 10) throw_data("QT-E400", cat("item ", i));
        });
        FAIL() << "no error";
      } catch (const Error& error) {
        EXPECT_EQ(error.message(), "item 10");
      }
    }
  }
}

TEST(ParallelFor, StopsAfterAFailure) {
  std::atomic<int64_t> calls{0};
  EXPECT_THROW(parallel_for(2, 1000000,
                            [&](int64_t, int) {
                              ++calls;
                              throw_data("QT-E400", "x");
                            }),
               Error);
  EXPECT_LE(calls, 2);
}

TEST(ParallelFor, MayBeNested) {
  std::atomic<int> sum{0};
  parallel_for(2, 4, [&](int64_t, int) {
    parallel_for(2, 4, [&](int64_t i, int) { sum += static_cast<int>(i); });
  });
  EXPECT_EQ(sum, 24);
}

// In a process of its own: the flag stays set.
TEST(InterruptDeathTest, StopsLoopsWithExitCode130) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto run = [] {
    std::signal(SIGINT, [](int) { request_interrupt(); });
    check_interrupted();
    std::atomic<int> done{0};
    try {
      parallel_for(2, 1000, [&](int64_t i, int) {
        if (i == 5) std::raise(SIGINT);
        ++done;
      });
    } catch (const Error& error) {
      std::exit(done < 20 ? static_cast<int>(error.kind()) : 1);
    }
    std::exit(2);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(130), "");
}

}  // namespace
}  // namespace qtool
