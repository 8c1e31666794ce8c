#include <algorithm>
#include <cmath>
#include <limits>

#include "format/formats/records.hpp"

namespace qtool {

int Codebook::largest() const {
  int most = 0;
  for (int8_t level : levels) most = std::max(most, std::abs(level));
  return most;
}

size_t Codebook::nearest(float value) const {
  const auto above = std::lower_bound(levels.begin(), levels.end(), value,
                                      [](int8_t level, float v) { return level < v; });
  if (above == levels.begin()) return 0;
  const auto at = static_cast<size_t>(above - levels.begin());
  if (above == levels.end()) return at - 1;
  const float up = static_cast<float>(*above) - value,
              down = value - static_cast<float>(levels[at - 1]);
  if (up != down) return up < down ? at : at - 1;
  return std::abs(*above) < std::abs(levels[at - 1]) ? at : at - 1;
}

size_t Codebook::nearest(std::span<const float> values, std::span<const float> weight) const {
  const auto d = static_cast<size_t>(dim);
  size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (size_t e = 0; e < static_cast<size_t>(entries()); ++e) {
    double error = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double off = static_cast<double>(values[i]) - levels[e * d + i];
      error += weight[i] * off * off;
    }
    if (error >= least) continue;
    least = error;
    best = e;
  }
  return best;
}

size_t Codebook::index_of(std::span<const int8_t> entry) const {
  const auto d = static_cast<size_t>(dim);
  if (d == 1) {
    const auto at = std::lower_bound(levels.begin(), levels.end(), entry[0]);
    return at != levels.end() && *at == entry[0] ? static_cast<size_t>(at - levels.begin())
                                                 : levels.size();
  }
  for (size_t e = 0; e < static_cast<size_t>(entries()); ++e) {
    if (std::equal(entry.begin(), entry.end(), levels.begin() + static_cast<int64_t>(e * d)))
      return e;
  }
  return static_cast<size_t>(entries());
}

namespace {

// Of a standard normal number, by sums over [0, 5] in steps; both signs where levels are not symmetric.
double normal_error(std::span<const int8_t> levels, double unit) {
  constexpr double kStep = 1.0 / 64;
  double error = 0;
  for (int i = -320; i <= 320; ++i) {
    const double x = i * kStep;
    double least = std::numeric_limits<double>::infinity();
    for (int8_t level : levels) least = std::min(least, std::fabs(x - level * unit));
    error += least * least * std::exp(-0.5 * x * x);
  }
  return error;
}

}  // namespace

float normal_unit(std::span<const int8_t> levels) {
  int most = 1;
  for (int8_t level : levels) most = std::max(most, std::abs(level));
  double best = 1, least = std::numeric_limits<double>::infinity();
  for (int step = 0; step <= 80; ++step) {
    const double unit = (0.5 + 0.05 * step) / most;
    const double error = normal_error(levels, unit);
    if (error >= least) continue;
    least = error;
    best = unit;
  }
  return static_cast<float>(best);
}

Codebook symmetric_codebook(std::span<const int> magnitudes, bool with_zero) {
  Codebook book;
  for (int m : magnitudes) {
    book.levels.push_back(static_cast<int8_t>(m));
    book.levels.push_back(static_cast<int8_t>(-m));
  }
  if (with_zero) book.levels.push_back(0);
  std::sort(book.levels.begin(), book.levels.end());
  book.levels.erase(std::unique(book.levels.begin(), book.levels.end()), book.levels.end());
  book.unit = normal_unit(book.levels);
  return book;
}

Codebook rounded_codebook(std::span<const double> levels) {
  double most = 0;
  for (double level : levels) most = std::max(most, std::fabs(level));
  Codebook book;
  book.unit = most > 0 ? static_cast<float>(most / kMostLevel) : 1.f;
  for (double level : levels)
    book.levels.push_back(static_cast<int8_t>(std::nearbyint(level / book.unit)));
  std::sort(book.levels.begin(), book.levels.end());
  book.levels.erase(std::unique(book.levels.begin(), book.levels.end()), book.levels.end());
  return book;
}

}  // namespace qtool
