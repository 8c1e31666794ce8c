#include "tensor/buffer.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace qtool {
namespace {

#ifndef __SANITIZE_ADDRESS__  // there nothing is recycled

TEST(Buffers, LargeBlocksAreUsedAgain) {
  constexpr int64_t kBytes = 5 << 20;
  const void* const first = allocate_bytes(kBytes, Fill::kNone).get();
  const int64_t idle = recyclable_bytes();
  EXPECT_GE(idle, kBytes);
  const auto again =
      allocate_bytes(kBytes - 1000, Fill::kNone);  // a little less: the same size class
  EXPECT_EQ(again.get(), first);
  EXPECT_LT(recyclable_bytes(), idle);
}

TEST(Buffers, LargerBlocksAreCutWhereManyBytesWait) {
  constexpr int64_t kLarge = 80 << 20, kPiece = 3 << 20;
  allocate_bytes(kLarge, Fill::kNone).reset();
  const int64_t idle = recyclable_bytes();
  ASSERT_GE(idle, kLarge);
  const auto first = allocate_bytes(kPiece, Fill::kZero),
             second = allocate_bytes(kPiece, Fill::kZero);
  EXPECT_EQ(recyclable_bytes(), idle - 2 * kPiece);
  EXPECT_NE(first.get(), second.get());
}

TEST(Buffers, IdleMemoryIsBounded) {
  std::vector<std::shared_ptr<void>> held;
  for (int i = 0; i < 40; ++i) held.push_back(allocate_bytes(16 << 20, Fill::kNone));
  held.clear();
  EXPECT_LE(recyclable_bytes(), 256 << 20);
  const int64_t before = recyclable_bytes();
  allocate_bytes(int64_t{200} << 20, Fill::kNone).reset();
  EXPECT_EQ(recyclable_bytes(), before);
}

#endif

TEST(Buffers, EverySizeIsWritableAlignedAndZeroWhenAsked) {
  for (int64_t bytes = 0; bytes < (4 << 20); bytes = bytes * 3 / 2 + 1) {
    for (int repeat = 0; repeat < 2; ++repeat) {
      const auto block = allocate_bytes(bytes, Fill::kZero);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block.get()) % 64, 0u);
      auto* const data = static_cast<uint8_t*>(block.get());
      for (int64_t i = 0; i < bytes; ++i) ASSERT_EQ(data[i], 0);
      std::memset(data, 0xff, static_cast<size_t>(bytes));
    }
  }
}

TEST(Buffers, MayBeSharedBetweenThreads) {
  parallel_for(4, 400, [](int64_t i, int) {
    const int64_t bytes = (256 << 10) + i % 5 * 100000;
    const auto block = allocate_bytes(bytes, Fill::kNone);
    auto* const data = static_cast<uint8_t*>(block.get());
    std::memset(data, static_cast<int>(i), static_cast<size_t>(bytes));
    EXPECT_EQ(data[0], static_cast<uint8_t>(i));
    EXPECT_EQ(data[bytes - 1], static_cast<uint8_t>(i));
  });
}

}  // namespace
}  // namespace qtool
