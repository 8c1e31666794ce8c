// What the files of the formats share.
#pragma once

#include <initializer_list>

#include "qtool/number_format.hpp"

namespace qtool {

// The largest magnitude of levels: two of them times 255 fit into int16.
inline constexpr int kMostLevel = 64;

// The nearest whole number, and no negative zero.
float whole(double level);
// Ascending and different.
void sort_levels(Codebook& book);

// Both signs of these and 0, ascending, at the unit of least error for normal weights.
Codebook symmetric_codebook(std::span<const int> magnitudes, bool with_zero);
// Real levels as whole numbers of at most kMostLevel. `unit` comes from the largest.
Codebook rounded_codebook(std::span<const double> levels);

}  // namespace qtool
