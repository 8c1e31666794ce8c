// Ratios of scales as integers (layer format): what devices without floats multiply by.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qtool/base.hpp"

namespace qtool {

// round(Σ v_i · ratio_i) is (Σ v_i · multiplier_i + 2^(shift − 1)) >> shift,
// half up, which is TOSA's RESCALE. Multipliers have 31 bits at most and no common factor of 2.
struct Dyadic {
  std::vector<int64_t> multipliers;
  int shift = 1;     // 1 to 60
  double error = 0;  // the largest of |multiplier / 2^shift / ratio − 1|
};
// Throws Error{kModel, QT-E354} for ratios that are not positive, or of 2^30 and more.
Dyadic dyadic(std::span<const double> ratios);

}  // namespace qtool
