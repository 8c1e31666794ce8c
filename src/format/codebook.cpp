#include <algorithm>
#include <cmath>
#include <limits>

#include "format/formats/records.hpp"

namespace qtool {

float Codebook::largest() const {
  float most = 0;
  for (float level : levels) most = std::max(most, std::fabs(level));
  return most;
}

bool Codebook::codes_are_levels() const {
  return type != DType::kInt8 || (dim == 1 && largest() <= 1);
}

size_t Codebook::space_of(size_t j, size_t columns) const {
  const auto d = static_cast<size_t>(dim), parts = static_cast<size_t>(spaces);
  return j / d / ((columns + d - 1) / d / parts);
}

std::vector<float> Codebook::without_bits(int count) const {
  std::vector<float> middles;
  const size_t cell = size_t{1} << count;
  for (size_t i = 0; i < levels.size(); ++i) {
    const size_t first = i / cell * cell;
    // Whole numbers, too, where there are no odd ones: see `nested`.
    middles.push_back(std::ceil((levels[first] + levels[first + cell - 1]) / 2));
  }
  return middles;
}

size_t Codebook::nearest(float value) const {
  const auto above = std::lower_bound(levels.begin(), levels.end(), value);
  if (above == levels.begin()) return 0;
  const auto at = static_cast<size_t>(above - levels.begin());
  if (above == levels.end()) return at - 1;
  const float up = *above - value, down = value - levels[at - 1];
  if (up != down) return up < down ? at : at - 1;
  return std::fabs(*above) < std::fabs(levels[at - 1]) ? at : at - 1;
}

size_t Codebook::nearest(std::span<const float> values, std::span<const float> weight,
                         size_t space) const {
  const auto d = static_cast<size_t>(dim);
  const float* first = levels.data() + space * static_cast<size_t>(entries() * dim);
  size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (size_t e = 0; e < static_cast<size_t>(entries()); ++e) {
    double error = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double off = static_cast<double>(values[i]) - first[e * d + i];
      error += weight[i] * off * off;
    }
    if (error >= least) continue;
    least = error;
    best = e;
  }
  return best;
}

size_t Codebook::index_of(std::span<const float> entry, size_t space) const {
  const auto d = static_cast<size_t>(dim);
  if (d == 1) {
    const auto at = std::lower_bound(levels.begin(), levels.end(), entry[0]);
    return at != levels.end() && *at == entry[0] ? static_cast<size_t>(at - levels.begin())
                                                 : levels.size();
  }
  const float* first = levels.data() + space * static_cast<size_t>(entries() * dim);
  for (size_t e = 0; e < static_cast<size_t>(entries()); ++e) {
    if (std::equal(entry.begin(), entry.end(), first + e * d)) return e;
  }
  return static_cast<size_t>(entries());
}

namespace {

// Of a standard normal number, by sums over [0, 5] in steps; both signs where levels are not symmetric.
double normal_error(std::span<const float> levels, double unit) {
  constexpr double kStep = 1.0 / 64;
  double error = 0;
  for (int i = -320; i <= 320; ++i) {
    const double x = i * kStep;
    double least = std::numeric_limits<double>::infinity();
    for (float level : levels) least = std::min(least, std::fabs(x - level * unit));
    error += least * least * std::exp(-0.5 * x * x);
  }
  return error;
}

}  // namespace

float normal_unit(std::span<const float> levels) {
  float most = 1;
  for (float level : levels) most = std::max(most, std::fabs(level));
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

float whole(double level) { return static_cast<float>(std::nearbyint(level)) + 0.f; }

void sort_levels(Codebook& book) {
  std::sort(book.levels.begin(), book.levels.end());
  book.levels.erase(std::unique(book.levels.begin(), book.levels.end()), book.levels.end());
}

Codebook symmetric_codebook(std::span<const int> magnitudes, bool with_zero) {
  Codebook book;
  for (int m : magnitudes) {
    book.levels.push_back(static_cast<float>(m));
    book.levels.push_back(static_cast<float>(-m));
  }
  if (with_zero) book.levels.push_back(0);
  sort_levels(book);
  book.unit = normal_unit(book.levels);
  return book;
}

Codebook rounded_codebook(std::span<const double> levels) {
  double most = 0;
  for (double level : levels) most = std::max(most, std::fabs(level));
  Codebook book;
  book.unit = most > 0 ? static_cast<float>(most / kMostLevel) : 1.f;
  for (double level : levels) book.levels.push_back(whole(level / book.unit));
  sort_levels(book);
  return book;
}

}  // namespace qtool
