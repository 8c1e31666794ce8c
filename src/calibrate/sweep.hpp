// The hot loops of observing. Every lane and every order is fixed, so all instruction sets and all layouts
// give the same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

namespace qtool::sweep {

struct Extremes {
  float min = 0, max = 0;
  bool nan = false;  // an element is not a number; `min` and `max` are of the others
  bool finite() const { return !nan && std::isfinite(min) && std::isfinite(max); }
};

// Of `count` ≥ 1 neighbours.
Extremes extremes(const float* x, int64_t count);
// Of each of `channels` that lie side by side, x [positions][channels], positions ≥ 1; returns whether an element
// is not a number.
bool extremes(const float* x, int64_t positions, int64_t channels, float* min, float* max);

// Neighbouring positions of which each counts `weight` times.
struct Piece {
  int64_t begin, count;
  double weight;
};

// Adds to sums[c] and squares[c] what the channels of x [positions][channels] hold at `pieces`, which begin at
// multiples of 8: eight positions at a time, those as a tree, (x0 + x4) + (x2 + x6) and so on.
void add_moments(const float* x, std::span<const Piece> pieces, int64_t channels, double* sums,
                 double* squares);

// Adds to table[4 · b + lane] for every element, where b = floor(x · inverse_width) − first and lane is the
// element's position modulo 4: four tables, because equal neighbours would wait for each other's stores.
// inverse_width is a power of two, every b lies in the table, and `count` < 2^32.
void bin(const float* x, int64_t count, float inverse_width, int32_t first, uint32_t* table);

// floor(x · inverse_width), exact also where the product underflows.
int32_t bin_of(float x, float inverse_width);

}  // namespace qtool::sweep
