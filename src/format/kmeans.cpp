#include <algorithm>
#include <cmath>
#include <limits>

#include "qtool/number_format.hpp"

namespace qtool {
namespace {

// Values beyond this many are put into bins of equal width, each at its mean.
constexpr size_t kMostPoints = 2048;

struct Point {
  double value, weight;
};

std::vector<Point> points_of(const FormatSamples& samples) {
  std::vector<Point> points;
  for (size_t i = 0; i < samples.values.size(); ++i) {
    if (samples.importance[i] > 0) points.push_back({samples.values[i], samples.importance[i]});
  }
  std::sort(points.begin(), points.end(),
            [](const Point& a, const Point& b) { return a.value < b.value; });
  if (points.size() <= kMostPoints) return points;
  const double low = points.front().value, width = (points.back().value - low) / kMostPoints;
  if (!(width > 0)) return {points.front()};
  std::vector<Point> bins;
  size_t last = kMostPoints;
  for (const Point& p : points) {
    const size_t bin = std::min(kMostPoints - 1, static_cast<size_t>((p.value - low) / width));
    if (bin != last) bins.push_back({0, 0});
    last = bin;
    bins.back().value += p.value * p.weight;
    bins.back().weight += p.weight;
  }
  for (Point& p : bins) p.value /= p.weight;
  return bins;
}

// Sums over a prefix of the points: the error of one level for points [i, j) in constant time.
class Costs {
 public:
  explicit Costs(const std::vector<Point>& points) : sums_(points.size() + 1) {
    for (size_t i = 0; i < points.size(); ++i) {
      const auto [v, w] = points[i];
      sums_[i + 1] = {sums_[i].w + w, sums_[i].wv + w * v, sums_[i].wvv + w * v * v};
    }
  }
  double mean(size_t i, size_t j) const {
    return (sums_[j].wv - sums_[i].wv) / (sums_[j].w - sums_[i].w);
  }
  double error(size_t i, size_t j) const {
    const double wv = sums_[j].wv - sums_[i].wv;
    return std::max(0.0, sums_[j].wvv - sums_[i].wvv - wv * wv / (sums_[j].w - sums_[i].w));
  }

 private:
  struct Sums {
    double w = 0, wv = 0, wvv = 0;
  };
  std::vector<Sums> sums_;
};

// One more level: fills now[j], j in [first, last], whose best split lies in [low, high]; splits move
// right with j, so halves search halves.
struct Step {
  const Costs& costs;
  const std::vector<double>& before;
  std::vector<double>& now;
  std::vector<size_t>& split;

  void fill(size_t first, size_t last, size_t low, size_t high) {
    if (first > last) return;
    const size_t j = (first + last) / 2;
    now[j] = std::numeric_limits<double>::infinity();
    for (size_t i = low; i <= std::min(high, j - 1); ++i) {
      const double error = before[i] + costs.error(i, j);
      if (error >= now[j]) continue;
      now[j] = error;
      split[j] = i;
    }
    if (j > first) fill(first, j - 1, low, split[j]);
    fill(j + 1, last, split[j], high);
  }
};

}  // namespace

std::vector<double> kmeans_1d(const FormatSamples& samples, int count) {
  const std::vector<Point> points = points_of(samples);
  const size_t n = points.size();
  const size_t k = std::min(static_cast<size_t>(count), n);
  if (k == 0) return {0.0};
  const Costs costs(points);
  std::vector<double> before(n + 1, std::numeric_limits<double>::infinity()), now(n + 1);
  for (size_t j = 1; j <= n; ++j) before[j] = costs.error(0, j);
  std::vector<std::vector<size_t>> splits(k, std::vector<size_t>(n + 1, 0));
  for (size_t level = 1; level < k; ++level) {
    std::fill(now.begin(), now.end(), std::numeric_limits<double>::infinity());
    Step{costs, before, now, splits[level]}.fill(level + 1, n, level, n - 1);
    std::swap(before, now);
  }
  std::vector<double> levels;
  size_t end = n;
  for (size_t level = k; level-- > 0;) {
    const size_t begin = splits[level][end];
    levels.push_back(costs.mean(begin, end));
    end = begin;
  }
  std::reverse(levels.begin(), levels.end());
  return levels;
}

}  // namespace qtool
