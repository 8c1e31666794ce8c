// Loops over elements, split over the threads that the run was given.
#pragma once

#include <algorithm>
#include <cstdint>

namespace qtool {

// run(begin, count) for blocks of [0, count), at most `block` elements each; where there are few, on this thread: waking
// another one takes as long. Every element has the same bits in any split.
template <typename Run>
void parallel_blocks(int64_t count, int64_t block, const Run& run) {
  const int64_t blocks = (count + block - 1) / block;
#pragma omp parallel for schedule(static) if (blocks > 2)
  for (int64_t b = 0; b < blocks; ++b) run(b * block, std::min(block, count - b * block));
}

}  // namespace qtool
