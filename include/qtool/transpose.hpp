// Matrices turned around without waiting for memory (layer tensor).
#pragma once

#include <algorithm>
#include <cstdint>

namespace qtool {

// `from` is [rows][columns], `to` [columns][rows]. Tiles as wide as a cache line go through a small array, and strips
// of columns, of few enough pages to write to, go from the first row to the last: read and written element by element,
// every element of a large matrix would miss the cache.
template <typename T>
void transpose(const T* from, int64_t rows, int64_t columns, T* to) {
  constexpr int64_t kTile = 64 / sizeof(T), kStrip = 256;
  T tile[kTile][kTile];
  const auto turn = [&](int64_t r, int64_t c) {
    const int64_t height = std::min(kTile, rows - r), width = std::min(kTile, columns - c);
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
