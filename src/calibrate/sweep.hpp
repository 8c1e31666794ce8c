// The hot loops of observing. Every lane and every order is fixed, so all instruction sets give the
// same bits.
#pragma once

#include <cstdint>

namespace qtool::sweep {

struct Run {
  float min = 0, max = 0;
  double sum = 0, sum_squares = 0;  // not finite exactly when an element is not
};

// Extremes and moments of `count` ≥ 1 neighbours.
Run run(const float* x, int64_t count);

// Extremes of `count` ≥ 1 finite neighbours.
void extremes(const float* x, int64_t count, float& min, float& max);

// Adds to table[4 · b + lane] for every element, where b = floor(x · inverse_width) − first and lane is the
// element's position modulo 4: four tables, because equal neighbours would wait for each other's stores.
// inverse_width is a power of two, every b lies in the table, and `count` < 2^32.
void bin(const float* x, int64_t count, float inverse_width, int32_t first, uint32_t* table);

// The same for one of every four groups of eight neighbours, each element counted four times; which one of
// the four changes from group to group, so that no column of a picture is always left out. What is left
// behind the last four groups is counted whole.
void bin_quarter(const float* x, int64_t count, float inverse_width, int32_t first,
                 uint32_t* table);

// floor(x · inverse_width), exact also where the product underflows.
int32_t bin_of(float x, float inverse_width);

}  // namespace qtool::sweep
