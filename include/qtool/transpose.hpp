// Matrices turned around without waiting for memory (layer tensor).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace qtool {

// Four by four elements of four bytes: columns of x, `x_column` bytes apart, become rows of y, `y_row` bytes apart.
inline void transpose_square(char* y, const char* x, int64_t y_row, int64_t x_column) {
  typedef int32_t Four __attribute__((vector_size(16)));
  Four in[4], low[2], high[2];
  for (int64_t c = 0; c < 4; ++c) std::memcpy(&in[c], x + c * x_column, sizeof(Four));
  for (int k = 0; k < 2; ++k) {
    low[k] = __builtin_shuffle(in[k], in[k + 2], Four{0, 4, 1, 5});
    high[k] = __builtin_shuffle(in[k], in[k + 2], Four{2, 6, 3, 7});
  }
  const Four out[4] = {__builtin_shuffle(low[0], low[1], Four{0, 4, 1, 5}),
                       __builtin_shuffle(low[0], low[1], Four{2, 6, 3, 7}),
                       __builtin_shuffle(high[0], high[1], Four{0, 4, 1, 5}),
                       __builtin_shuffle(high[0], high[1], Four{2, 6, 3, 7})};
  for (int64_t r = 0; r < 4; ++r) std::memcpy(y + r * y_row, &out[r], sizeof(Four));
}

// `from` is [rows][columns], `to` [columns][rows]. Tiles as wide as a cache line go through a small array, and strips
// of columns, of few enough pages to write to, go from the first row to the last: read and written element by element,
// every element of a large matrix would miss the cache.
template <typename T>
void transpose(const T* from, int64_t rows, int64_t columns, T* to) {
  constexpr int64_t kTile = 64 / sizeof(T), kStrip = 256;
  T tile[kTile][kTile];
  const auto turn = [&](int64_t r, int64_t c) {
    const int64_t height = std::min(kTile, rows - r), width = std::min(kTile, columns - c);
    if constexpr (sizeof(T) == 4) {
      if (height == kTile && width == kTile) {
        const auto* x = reinterpret_cast<const char*>(from + r * columns + c);
        auto* y = reinterpret_cast<char*>(to + c * rows + r);
        for (int64_t j = 0; j < kTile; j += 4)
          for (int64_t i = 0; i < kTile; i += 4)
            transpose_square(y + (j * rows + i) * 4, x + (i * columns + j) * 4, rows * 4,
                             columns * 4);
        return;
      }
    }
    for (int64_t i = 0; i < height; ++i) {
      const T* row = from + (r + i) * columns + c;
      for (int64_t j = 0; j < width; ++j) tile[j][i] = row[j];
    }
    for (int64_t j = 0; j < width; ++j) std::copy_n(tile[j], height, to + (c + j) * rows + r);
  };
  for (int64_t strip = 0; strip < columns; strip += kStrip) {
    const int64_t end = std::min(columns, strip + kStrip);
    for (int64_t r = 0; r < rows; r += kTile) {
      for (int64_t c = strip; c < end; c += kTile) turn(r, c);
    }
  }
}

}  // namespace qtool
