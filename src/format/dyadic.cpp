#include "qtool/dyadic.hpp"

#include <algorithm>
#include <cmath>

namespace qtool {
namespace {

constexpr int kMultiplierBits = 31, kMostShift = 60;

}  // namespace

Dyadic dyadic(std::span<const double> ratios) {
  double largest = 0;
  for (double ratio : ratios) {
    if (!std::isfinite(ratio) || ratio <= 0)
      throw_model("QT-E354", cat("the ratio of scales ", ratio, " is no positive number"));
    largest = std::max(largest, ratio);
  }
  int exponent = 0;
  (void)std::frexp(largest, &exponent);  // largest = [½, 1) · 2^exponent
  Dyadic d;
  d.shift = std::min(kMultiplierBits - exponent, kMostShift);
  if (std::nearbyint(std::ldexp(largest, d.shift)) >= std::ldexp(1.0, kMultiplierBits)) --d.shift;
  if (d.shift < 1)
    throw_model("QT-E354", cat("the ratio of scales ", largest, " leaves no bit behind the point"));
  for (double ratio : ratios) d.multipliers.push_back(std::llround(std::ldexp(ratio, d.shift)));
  const auto even = [](int64_t m) { return m % 2 == 0; };
  while (d.shift > 1 && std::ranges::all_of(d.multipliers, even)) {
    for (int64_t& m : d.multipliers) m /= 2;
    --d.shift;
  }
  for (size_t i = 0; i < ratios.size(); ++i) {
    const double is = std::ldexp(static_cast<double>(d.multipliers[i]), -d.shift);
    d.error = std::max(d.error, std::fabs(is / ratios[i] - 1));
  }
  return d;
}

}  // namespace qtool
