// Least Kullback-Leibler divergence of the quantized distribution from the true one (S. Migacz, "8-bit
// Inference with TensorRT", 2017), for ranges with two free ends: values beyond an end count in its last
// bin of the true distribution, and the quantized one spreads what falls into a code evenly over the bins
// of that code which are not empty.
#include <algorithm>
#include <cmath>
#include <limits>

#include "calibrate/ranges/clip_search.hpp"
#include "calibrate/ranges/ranges.hpp"

namespace qtool::ranges {
namespace {

double x_log_x(double x) { return x > 0 ? x * std::log(x) : 0; }

// Sums over bins before i of: counts c, c·log(c), and one for each bin that is not empty.
class Distribution {
 public:
  explicit Distribution(std::vector<double> counts) : counts_(std::move(counts)) {
    const size_t n = counts_.size() + 1;
    mass_.resize(n);
    entropy_.resize(n);
    filled_.resize(n);
    for (size_t i = 0; i + 1 < n; ++i) {
      mass_[i + 1] = mass_[i] + counts_[i];
      entropy_[i + 1] = entropy_[i] + x_log_x(counts_[i]);
      filled_[i + 1] = filled_[i] + (counts_[i] > 0 ? 1 : 0);
    }
  }

  // Divergence in nats when bins [first, last) are kept; infinite when too few for the grid's codes.
  double divergence(const Grid& grid, int64_t first, int64_t last) const {
    const double kept = mass_[at(last)] - mass_[at(first)], all = mass_.back();
    if (kept <= 0) return std::numeric_limits<double>::infinity();
    double sum = 0;  // Σ P·log(P/Q) · all, with P = p/all, Q = q/kept
    int64_t begin = first;
    for (int64_t code = grid.lowest; code <= grid.highest && begin < last; ++code) {
      const double edge = (static_cast<double>(code) + 0.5) * grid.step;
      const auto end =
          code == grid.highest
              ? last
              : std::clamp(static_cast<int64_t>(std::ceil(edge - 0.5)) + Histogram::kHalf, begin,
                           last);
      sum += code_divergence(begin, end, first, last);
      begin = end;
    }
    return sum / all - std::log(all / kept);
  }

 private:
  static size_t at(int64_t i) { return static_cast<size_t>(i); }

  // Σ p·log(p/q) over the bins of one code; p is the count, plus the outliers at the two ends.
  double code_divergence(int64_t begin, int64_t end, int64_t first, int64_t last) const {
    if (begin == end) return 0;
    const double mass = mass_[at(end)] - mass_[at(begin)];
    double true_mass = mass, true_entropy = entropy_[at(end)] - entropy_[at(begin)];
    double bins = filled_[at(end)] - filled_[at(begin)];
    const auto add = [&](int64_t bin, double outliers) {
      if (outliers <= 0 || bin < begin || bin >= end) return;
      const double count = counts_[at(bin)];
      true_mass += outliers;
      true_entropy += x_log_x(count + outliers) - x_log_x(count);
      if (count == 0) bins += 1;
    };
    add(first, mass_[at(first)]);
    add(last - 1, mass_.back() - mass_[at(last)]);
    if (true_mass <= 0) return 0;
    // A code that nothing but outliers takes still gets a trace, or one outlier would cost infinitely much.
    const double quantized = std::max(mass, 1e-6) / bins;
    return true_entropy - true_mass * std::log(quantized);
  }

  std::vector<double> counts_, mass_, entropy_, filled_;
};

// Zero is exact on every grid, so a heap of zeros says nothing about resolution: its bin counts like its neighbours.
std::vector<double> without_zeros(const ValueStats& stats) {
  const std::vector<int64_t>& counts = stats.histogram.counts();
  std::vector<double> result(counts.begin(), counts.end());
  const size_t zero = Histogram::kHalf;
  const double above = result[zero + 1], below = result[zero - 1];
  const double neighbours = stats.min >= 0 ? above : stats.max <= 0 ? below : (above + below) / 2;
  result[zero] = std::min(result[zero], neighbours);
  return result;
}

Range choose(const ValueStats& stats, const QuantSpec& spec) {
  if (stats.histogram.empty()) return {};
  const Distribution distribution(without_zeros(stats));
  const double width = stats.histogram.bin_width();
  const int64_t first =
      stats.min >= 0 ? Histogram::kHalf
                     : Histogram::kHalf + static_cast<int64_t>(std::floor(stats.min / width));
  const int64_t last =
      stats.max <= 0 ? Histogram::kHalf + 1
                     : Histogram::kHalf + static_cast<int64_t>(std::floor(stats.max / width)) + 1;
  return search_clip(stats, spec, [&](const Grid& grid) {
    const auto low = std::clamp(static_cast<int64_t>(std::floor(grid.low())) + Histogram::kHalf,
                                first, last - 1);
    const auto high = std::clamp(
        static_cast<int64_t>(std::floor(grid.high())) + 1 + Histogram::kHalf, low + 1, last);
    // Fewer bins than codes: the histogram cannot tell what such a grid loses.
    const bool enough = high - low >= grid.highest - grid.lowest + 1;
    if (!enough && (low > first || high < last)) return std::numeric_limits<double>::infinity();
    return distribution.divergence(grid, low, high);
  });
}

}  // namespace

const RangeMethod kEntropy = {
    .name = "entropy",
    .summary = "least KL divergence of the quantized distribution",
    .choose = choose,
};

}  // namespace qtool::ranges
