#include <algorithm>
#include <cmath>

#include "calibrate/sweep.hpp"
#include "qtool/calibrate.hpp"

namespace qtool {
namespace {

constexpr int kBins = 2 * Histogram::kHalf;
constexpr int kHalfBits = 11;
static_assert(1 << kHalfBits == Histogram::kHalf);
// Floats nearer to zero than this bin width fall into the bins beside zero.
constexpr int kLowestExponent = -126;
// Below this many values the four tables of sweep::bin cost more than they save.
constexpr size_t kFewValues = 4096;

// The smallest exponent whose bins hold the value.
int exponent_for(float value) {
  int e = 0;
  const float mantissa = std::frexp(value, &e);  // value = mantissa · 2^e, 0.5 ≤ |mantissa| < 1
  // −2^k still lies in the lowest bin, +2^k in none.
  if (mantissa == -0.5f) --e;
  return value == 0 ? kLowestExponent : std::max(kLowestExponent, e - kHalfBits);
}

}  // namespace

double Histogram::bin_width() const { return std::ldexp(1.0, exponent_); }

double Histogram::lower_edge(int bin) const {
  return std::ldexp(static_cast<double>(bin - kHalf), exponent_);
}

Histogram Histogram::from_parts(int exponent, std::vector<int64_t> counts) {
  if (!counts.empty() && counts.size() != static_cast<size_t>(kBins))
    throw_internal("a histogram has the wrong number of bins");
  Histogram h;
  h.exponent_ = exponent;
  h.counts_ = std::move(counts);
  return h;
}

void Histogram::grow_to(int exponent) {
  if (counts_.empty()) {
    counts_.assign(kBins, 0);
    exponent_ = exponent;
    return;
  }
  for (; exponent_ < exponent; ++exponent_) {
    // Bin i of the new width holds bins 2i and 2i + 1 of the old; growing away from zero, no bin that
    // is still to be read is overwritten.
    for (int i = 0; i < kHalf / 2; ++i)
      counts_[kHalf + i] = counts_[kHalf + 2 * i] + counts_[kHalf + 2 * i + 1];
    std::fill(counts_.begin() + kHalf + kHalf / 2, counts_.end(), 0);
    for (int i = -1; i >= -kHalf / 2; --i)
      counts_[kHalf + i] = counts_[kHalf + 2 * i] + counts_[kHalf + 2 * i + 1];
    std::fill(counts_.begin(), counts_.begin() + kHalf / 2, 0);
  }
}

void Histogram::add(std::span<const float> values) {
  if (values.empty()) return;
  std::vector<float> finite;
  sweep::Extremes e = sweep::extremes(values.data(), static_cast<int64_t>(values.size()));
  if (!e.finite()) {
    std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
                 [](float v) { return std::isfinite(v); });
    if (finite.empty()) return;
    values = finite;
    e = sweep::extremes(values.data(), static_cast<int64_t>(values.size()));
  }
  add(values, e.min, e.max);
}

void Histogram::add(std::span<const float> values, float min, float max, int64_t weight) {
  if (values.empty()) return;
  grow_to(std::max({exponent_, exponent_for(min), exponent_for(max)}));
  const float inverse_width = std::ldexp(1.0f, -exponent_);
  if (values.size() < kFewValues) {
    for (float v : values) counts_[kHalf + sweep::bin_of(v, inverse_width)] += weight;
    return;
  }
  const int32_t first = sweep::bin_of(min, inverse_width);
  std::vector<uint32_t> table(4 *
                              static_cast<size_t>(sweep::bin_of(max, inverse_width) - first + 1));
  constexpr size_t kMost = size_t{1} << 30;
  for (size_t done = 0; done < values.size(); done += kMost) {
    sweep::bin(values.data() + done, static_cast<int64_t>(std::min(kMost, values.size() - done)),
               inverse_width, first, table.data());
    int64_t* counts = counts_.data() + kHalf + first;
    for (size_t b = 0; 4 * b < table.size(); ++b) {
      counts[b] +=
          weight * (int64_t{table[4 * b]} + table[4 * b + 1] + table[4 * b + 2] + table[4 * b + 3]);
    }
    if (done + kMost < values.size()) std::fill(table.begin(), table.end(), 0);
  }
}

void Histogram::merge(const Histogram& other) {
  if (other.empty()) return;
  if (empty()) {
    *this = other;
    return;
  }
  Histogram grown = other;
  grown.grow_to(std::max(exponent_, other.exponent_));
  grow_to(grown.exponent_);
  for (int i = 0; i < kBins; ++i) counts_[i] += grown.counts_[i];
}

}  // namespace qtool
