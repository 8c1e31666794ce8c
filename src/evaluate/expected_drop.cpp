#include "evaluate/expected_drop.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "evaluate/metrics.hpp"

namespace qtool::metrics {
namespace {

// Ranks further down do not win.
constexpr size_t kRanks = 16;
// That pairs are made of, spread evenly over all.
constexpr size_t kMostRows = 4096, kMostNoise = 256;
constexpr size_t kNoRank = kRanks;
// Noise of smaller probabilities says nothing about the order: codes of 8 bits have no smaller ones.
constexpr double kLeastProbability = 1e-3;

bool are_probabilities(std::span<const double> row) {
  const double sum = std::accumulate(row.begin(), row.end(), 0.0);
  return std::fabs(sum - 1) < 1e-3 &&
         std::all_of(row.begin(), row.end(), [](double x) { return x >= 0 && x <= 1; });
}

std::vector<double> logits(std::span<const double> row, bool probabilities) {
  std::vector<double> all(row.begin(), row.end());
  if (probabilities)
    for (double& x : all) x = std::log(std::max(x, kLeastProbability));
  return all;
}

// Highest first, of equal ones the first; those that are no numbers last.
std::vector<size_t> by_rank(const std::vector<double>& logits) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto key = [&](size_t i) {
    return std::make_tuple(std::isnan(logits[i]), std::isnan(logits[i]) ? 0 : -logits[i], i);
  };
  const size_t ranks = std::min(kRanks, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(ranks), order.end(),
                    [&](size_t a, size_t b) { return key(a) < key(b); });
  order.resize(ranks);
  return order;
}

// The rank that wins with noise; kNoRank when none is a number.
size_t winner(const std::vector<double>& scores, const std::vector<double>& noise) {
  size_t best = kNoRank;
  double most = 0;
  for (size_t r = 0; r < std::min(scores.size(), noise.size()); ++r) {
    const double now = scores[r] + noise[r];
    if (std::isnan(now) || (best != kNoRank && !(now > most))) continue;
    best = r;
    most = now;
  }
  return best;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of a mean of so many.
double variance_of_mean(const std::vector<double>& values) {
  const double middle = mean(values);
  double squares = 0;
  for (double x : values) squares += (x - middle) * (x - middle);
  const auto n = static_cast<double>(values.size());
  return squares / n / n;
}

// A chunk with a part of another one.
Batch mixed(const Batch& batch, const Batch& other, float part) {
  Batch out = batch;
  for (auto& [name, tensor] : out.feed) {
    const auto partner = other.feed.find(name);
    if (tensor.dtype() != DType::kFloat || partner == other.feed.end() ||
        partner->second.dtype() != DType::kFloat || partner->second.shape() != tensor.shape())
      continue;
    const auto more = partner->second.data<float>();
    size_t i = 0;
    for (float& x : tensor.mutable_data<float>()) x += part * (more[i++] - x);
  }
  return out;
}

}  // namespace

void DropEstimate::add_noise(std::span<const double> want, std::span<const double> have) {
  const bool probabilities = are_probabilities(want);
  const std::vector<double> from = logits(want, probabilities), to = logits(have, probabilities);
  std::vector<double>& noise = noise_.emplace_back();
  for (size_t i : by_rank(from)) noise.push_back(to[i] - from[i]);
}

void DropEstimate::add_scores(std::span<const double> scores, int64_t sample) {
  const std::vector<double> all = logits(scores, are_probabilities(scores));
  const std::vector<size_t> order = by_rank(all);
  Row row{sample, {}, {}};
  double sum = 0;
  for (double x : all)
    if (!std::isnan(x)) sum += std::exp(x - all[order[0]]);
  for (size_t i : order) {
    row.scores.push_back(all[i]);
    row.probabilities.push_back(std::exp(all[i] - all[order[0]]) / sum);
  }
  rows_.push_back(std::move(row));
}

void DropEstimate::add(const DropEstimate& other) {
  rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end());
  noise_.insert(noise_.end(), other.noise_.begin(), other.noise_.end());
}

DropEstimate::Result DropEstimate::result() const {
  if (rows_.empty() || noise_.empty()) return {};
  const size_t n = std::min(rows_.size(), kMostRows), m = std::min(noise_.size(), kMostNoise);
  std::vector<double> by_noise(m);
  std::map<int64_t, std::pair<double, double>> samples;  // lost, rows
  for (size_t i = 0; i < n; ++i) {
    const Row& row = rows_[i * rows_.size() / n];
    auto& [lost, rows] = samples[row.sample];
    for (size_t k = 0; k < m; ++k) {
      const size_t now = winner(row.scores, noise_[k * noise_.size() / m]);
      const double loss = now == kNoRank ? 1 : row.probabilities[0] - row.probabilities[now];
      lost += loss / static_cast<double>(m);
      by_noise[k] += loss / static_cast<double>(n);
    }
    ++rows;
  }
  std::vector<double> by_sample;
  for (const auto& [sample, sums] : samples) by_sample.push_back(sums.first / sums.second);
  // A mean over pairs of two samples: each adds the variance of its own means (Hoeffding 1948).
  return {mean(by_noise), std::sqrt(variance_of_mean(by_sample) + variance_of_mean(by_noise))};
}

DropEstimate vicinity(const Model& reference, const SampleSource& source, int threads) {
  constexpr float kPart = 0.15f;
  constexpr int64_t kPartners = 8;
  const Executor executor(reference);
  const int64_t chunks = source.chunk_count();
  std::vector<DropEstimate> parts(static_cast<size_t>(chunks));
  parallel_for(threads, chunks, [&](int64_t c, int) {
    const Batch batch = source.chunk(c);
    for (int64_t p = 1; p <= kPartners; ++p) {
      // Other chunks, spread over all.
      const int64_t shift = std::max<int64_t>(1, p * chunks / (kPartners + 1));
      const Batch both = mixed(batch, source.chunk((c + shift) % chunks), kPart);
      const Scores scores = scores_of(executor.run(both.feed)[0], batch.samples);
      for (int64_t s = 0; s < scores.samples; ++s)
        parts[static_cast<size_t>(c)].add_scores(scores.row(s), batch.first_sample + s);
    }
  });
  DropEstimate all;
  for (const DropEstimate& part : parts) all.add(part);
  return all;
}

}  // namespace qtool::metrics
