// Weighted sums of an array's elements, by vectors: what interpolations are made of.
#pragma once

#include <span>

#include "ops/loops.hpp"

namespace qtool {

// One sum.
struct Taps {
  std::vector<int64_t> index;
  std::vector<double> weight;
};

// The terms of `sums` sums in an order that fits vectors: term t of sum j is
// weight[t * sums + j] * x[index[t * sums + j]], and adds nothing when its weight is 0, whatever x is.
template <typename T>
struct GatherTable {
  int64_t sums = 0, terms = 0;  // terms: an even number
  std::vector<int32_t> index;
  std::vector<T> weight;

  GatherTable(int64_t sums_, int64_t terms_)
      : sums(sums_),
        terms(terms_ + terms_ % 2),
        index(static_cast<size_t>(sums * terms), 0),
        weight(index.size(), T(0)) {}

  // Eight sums at `to`, of elements among the eight at `from`: one load and a shuffle a term. Of all sums or none.
  struct Window {
    int64_t to, from;
  };
  std::vector<Window> windows;
  // Looks for windows into arrays of `length` elements; the sums have the same bits with and without.
  void find_windows(int64_t length);
};

// Arrays that one table is applied to, in elements from one to the next.
struct ArraySteps {
  int64_t arrays, from, to;
};

// y[a * steps.to + j] = sum j of x + a * steps.from, terms added one after the other.
void sum_gathered(const GatherTable<float>& table, const float* x, ArraySteps steps, float* y);
void sum_gathered(const GatherTable<double>& table, const double* x, ArraySteps steps, double* y);

// y[o, p, i] = Σ weight · x[o, index, i] over the taps of position p; y is [outer, positions, inner].
void sum_along_axis(std::span<const Taps> positions, const float* x, AxisView view, float* y);
void sum_along_axis(std::span<const Taps> positions, const double* x, AxisView view, double* y);

}  // namespace qtool
