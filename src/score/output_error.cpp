#include "score/output_error.hpp"

#include <algorithm>
#include <cmath>

namespace qtool::scoring {
namespace {

// Logarithms of a row's probabilities.
std::vector<double> log_probabilities(const float* row, int64_t n) {
  double sum = 0, least = 0;
  for (int64_t i = 0; i < n; ++i) {
    sum += row[i];
    least = std::min<double>(least, row[i]);
  }
  std::vector<double> logs(static_cast<size_t>(n));
  if (least >= 0 && std::abs(sum - 1) < 1e-4) {
    for (int64_t i = 0; i < n; ++i)
      logs[static_cast<size_t>(i)] = std::log(std::max<double>(row[i], 1e-12));
    return logs;
  }
  const double top = *std::max_element(row, row + n);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += std::exp(row[i] - top);
  for (int64_t i = 0; i < n; ++i) logs[static_cast<size_t>(i)] = row[i] - top - std::log(total);
  return logs;
}

// SplitMix64's output function.
uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

double relative_noise(const std::vector<Tensor>& want, const std::vector<Tensor>& have) {
  double total = 0;
  for (size_t o = 0; o < want.size(); ++o) {
    if (want[o].dtype() != DType::kFloat) continue;
    double signal = 0, noise = 0;
    for (int64_t i = 0; i < want[o].size(); ++i) {
      const auto k = static_cast<size_t>(i);
      const double w = want[o].data<float>()[k], e = have[o].data<float>()[k] - w;
      signal += w * w;
      noise += e * e;
    }
    total += noise / std::max(signal, 1e-30);
  }
  return total;
}

std::vector<double> noise_by_sample(const std::vector<Tensor>& want,
                                    const std::vector<Tensor>& have, int64_t samples) {
  std::vector<double> all(static_cast<size_t>(samples), 0);
  for (size_t o = 0; o < want.size(); ++o) {
    if (want[o].dtype() != DType::kFloat || want[o].size() == 0) continue;
    const bool batched = want[o].rank() > 0 && samples > 0 && want[o].dim(0) % samples == 0;
    const auto w = want[o].data<float>(), h = have[o].data<float>();
    const size_t each = w.size() / static_cast<size_t>(batched ? samples : 1);
    std::vector<double> noise(w.size() / each, 0);
    double signal = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      const double error = double{h[i]} - w[i];
      signal += double{w[i]} * w[i];
      noise[i / each] += error * error;
    }
    const double scale = static_cast<double>(noise.size()) / std::max(signal, 1e-30);
    for (size_t s = 0; s < all.size(); ++s) all[s] += scale * noise[batched ? s : 0];
  }
  return all;
}

int64_t agreeing(const std::vector<Tensor>& want, const std::vector<Tensor>& have,
                 int64_t samples) {
  for (size_t o = 0; o < want.size(); ++o) {
    if (want[o].dtype() != DType::kFloat || want[o].size() == 0) continue;
    const bool batched = want[o].rank() > 0 && samples > 0 && want[o].dim(0) % samples == 0;
    const int64_t rows = batched ? samples : 1, each = want[o].size() / rows;
    const float *w = want[o].data<float>().data(), *h = have[o].data<float>().data();
    int64_t same = 0;
    for (int64_t r = 0; r < rows; ++r, w += each, h += each)
      same += std::max_element(w, w + each) - w == std::max_element(h, h + each) - h;
    return batched ? same : same * samples;
  }
  return samples;
}

double divergence(const std::vector<Tensor>& want, const std::vector<Tensor>& have) {
  double all = 0;
  for (size_t o = 0; o < want.size(); ++o) {
    if (want[o].dtype() != DType::kFloat || want[o].size() == 0) continue;
    const int64_t n = want[o].rank() > 0 ? want[o].dim(want[o].rank() - 1) : 1;
    const int64_t rows = want[o].size() / n;
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const auto p = log_probabilities(want[o].data<float>().data() + r * n, n),
                 q = log_probabilities(have[o].data<float>().data() + r * n, n);
      for (size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
    }
    all += sum / static_cast<double>(rows);
  }
  return std::max(all, 0.0);
}

std::vector<float> projected_error(const std::vector<Tensor>& want, const std::vector<Tensor>& have,
                                   const Batch& batch, int64_t samples, int64_t size) {
  std::vector<double> sums(static_cast<size_t>(size), 0);
  for (size_t o = 0; o < want.size(); ++o) {
    if (want[o].dtype() != DType::kFloat || want[o].size() == 0) continue;
    const auto w = want[o].data<float>(), h = have[o].data<float>();
    double signal = 0;
    for (float v : w) signal += double{v} * v;
    const double scale =
        std::sqrt(static_cast<double>(batch.samples) /
                  static_cast<double>(std::max<int64_t>(samples, 1)) / std::max(signal, 1e-30));
    const bool batched =
        want[o].rank() > 0 && batch.samples > 0 && want[o].dim(0) % batch.samples == 0;
    const size_t each = w.size() / static_cast<size_t>(batched ? batch.samples : 1);
    for (size_t i = 0; i < w.size(); ++i) {
      const auto sample = static_cast<uint64_t>(batch.first_sample) + i / each;
      const uint64_t at = mixed(mixed(sample * 64 + o) ^ (i % each));
      const double error = (double{h[i]} - w[i]) * scale;
      sums[(at >> 1) % static_cast<uint64_t>(size)] += at & 1 ? error : -error;
    }
  }
  return {sums.begin(), sums.end()};
}

}  // namespace qtool::scoring
