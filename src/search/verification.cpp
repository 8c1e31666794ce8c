// What predictions of plans' noise are worth.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "qtool/assign.hpp"

namespace qtool {
namespace {

// Places in ascending order; equal values share the mean of theirs.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t k = i; k < end; ++k) rank[order[k]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return rank;
}

double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n,
               mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

}  // namespace

double paired_gain(const std::vector<double>& first, const std::vector<double>& second) {
  const auto n = static_cast<double>(first.size());
  if (first.size() < 2) return 0;
  double mean = 0, squares = 0;
  for (size_t i = 0; i < first.size(); ++i) mean += (first[i] - second[i]) / n;
  for (size_t i = 0; i < first.size(); ++i) {
    const double beyond = first[i] - second[i] - mean;
    squares += beyond * beyond;
  }
  return mean == 0 ? 0 : mean / std::sqrt(squares / (n - 1) / n);
}

Verification compare_noise(const std::vector<double>& predicted,
                           const std::vector<double>& measured) {
  constexpr double kLeast = 1e-30;
  std::vector<double> ratio, log_predicted, log_measured;
  for (size_t i = 0; i < predicted.size(); ++i) {
    log_predicted.push_back(std::log(std::max(predicted[i], kLeast)));
    log_measured.push_back(std::log(std::max(measured[i], kLeast)));
    ratio.push_back(measured[i] / std::max(predicted[i], kLeast));
  }
  Verification v;
  v.plans = static_cast<int64_t>(predicted.size());
  v.spearman = pearson(ranks(predicted), ranks(measured));
  v.pearson_log = pearson(log_predicted, log_measured);
  const auto middle = ratio.begin() + static_cast<std::ptrdiff_t>(ratio.size() / 2);
  std::nth_element(ratio.begin(), middle, ratio.end());
  v.median_ratio = *middle;
  return v;
}

}  // namespace qtool
