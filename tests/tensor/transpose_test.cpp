#include "qtool/transpose.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace qtool {
namespace {

template <typename T>
void expect_turned(int64_t rows, int64_t columns) {
  std::vector<T> from(static_cast<size_t>(rows * columns)), to(from.size());
  std::iota(from.begin(), from.end(), T{0});
  transpose(from.data(), rows, columns, to.data());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c)
      ASSERT_EQ(to[static_cast<size_t>(c * rows + r)], from[static_cast<size_t>(r * columns + c)])
          << rows << "x" << columns;
  }
}

TEST(Transpose, TurnsMatricesOfAllSizes) {
  for (int64_t rows : {0, 1, 15, 16, 70, 300}) {
    for (int64_t columns : {1, 17, 64, 300, 520}) {
      expect_turned<float>(rows, columns);
      expect_turned<uint8_t>(rows, columns);
    }
  }
}

}  // namespace
}  // namespace qtool
