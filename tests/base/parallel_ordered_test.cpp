#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "qtool/base.hpp"

namespace qtool {
namespace {

TEST(ParallelOrdered, MergesInOrderWhateverFinishesFirst) {
  for (int threads : {1, 2, 5}) {
    std::vector<int64_t> order;
    parallel_ordered(threads, 40, [&](int64_t index, int) -> std::function<void()> {
      if (index % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      return [&order, index] { order.push_back(index); };
    });
    ASSERT_EQ(order.size(), 40u);
    for (int64_t i = 0; i < 40; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  }
}

TEST(ParallelOrdered, KeepsFewResultsWaiting) {
  std::atomic<int64_t> begun{0}, merged{0}, most{0};
  parallel_ordered(3, 100, [&](int64_t index, int) -> std::function<void()> {
    const int64_t ahead = ++begun - merged;
    if (ahead > most) most = ahead;
    if (index == 0) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    return [&merged] { ++merged; };
  });
  EXPECT_LE(most, 8);
}

TEST(ParallelOrdered, RethrowsWithoutHanging) {
  for (int threads : {1, 4}) {
    EXPECT_THROW(parallel_ordered(threads, 50,
                                  [&](int64_t index, int) -> std::function<void()> {
                                    if (index == 3) throw_data("QT-E400", "bad");
                                    return [] {};
                                  }),
                 Error);
    EXPECT_THROW(parallel_ordered(threads, 50,
                                  [&](int64_t index, int) -> std::function<void()> {
                                    return [index] {
                                      if (index == 3) throw_data("QT-E400", "bad");
                                    };
                                  }),
                 Error);
  }
}

TEST(ParallelOrdered, DoesNothingForNothing) {
  parallel_ordered(2, 0, [](int64_t, int) -> std::function<void()> { return [] { FAIL(); }; });
}

}  // namespace
}  // namespace qtool
