// How far a quantized network's outputs are from the float network's.
#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// KL(softmax(p) ‖ softmax(q)) of one row of scores.
double divergence(const float* p, const float* q, int64_t n) {
  const auto log_sum = [n](const float* x) {
    const double top = *std::max_element(x, x + n);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i] - top);
    return top + std::log(sum);
  };
  const double zp = log_sum(p), zq = log_sum(q);
  double kl = 0;
  for (int64_t i = 0; i < n; ++i) kl += std::exp(p[i] - zp) * ((p[i] - zp) - (q[i] - zq));
  return kl;
}

// Sums over chunks of one output.
struct Sums {
  double distance = 0, scale = 0;
};

Sums compare(const Tensor& want, const Tensor& have, Distance kind) {
  Sums sums;
  if (want.dtype() != DType::kFloat) return sums;
  const float* p = want.data<float>().data();
  if (want.size() != have.size()) {  // as many boxes as the network found: all of it is wrong
    for (int64_t k = 0; k < want.size(); ++k) sums.scale += static_cast<double>(p[k]) * p[k];
    sums.distance = sums.scale;
    return sums;
  }
  const float* q = have.data<float>().data();
  if (kind == Distance::kDivergence && want.rank() == 2 && want.dim(1) > 1) {
    for (int64_t r = 0; r < want.dim(0); ++r)
      sums.distance += divergence(p + r * want.dim(1), q + r * want.dim(1), want.dim(1));
    sums.scale = static_cast<double>(want.dim(0));
    return sums;
  }
  for (int64_t k = 0; k < want.size(); ++k) {
    const double off = static_cast<double>(p[k]) - q[k];
    sums.distance += off * off;
    sums.scale += static_cast<double>(p[k]) * p[k];
  }
  return sums;
}

}  // namespace

double relative_noise(const std::vector<Tensor>& want, const std::vector<Tensor>& have) {
  double noise = 0;
  for (size_t o = 0; o < want.size(); ++o) {
    const Sums sums = compare(want[o], have[o], Distance::kNoise);
    noise += sums.distance / std::max(sums.scale, 1e-30);
  }
  return noise;
}

OutputReference::OutputReference(const Model& reference, const SampleSource& source, int64_t first,
                                 int64_t last, int threads)
    : source_(source), first_(first), threads_(threads) {
  const Executor executor(reference);
  chunks_.resize(static_cast<size_t>(last - first));
  parallel_for(threads, last - first, [&](int64_t c, int) {
    chunks_[static_cast<size_t>(c)] = executor.run(source.chunk(first + c).feed);
  });
}

double OutputReference::distance(const Model& model, Distance kind) const {
  const Executor executor(model);
  std::vector<std::vector<Sums>> chunks(chunks_.size());
  parallel_for(threads_, static_cast<int64_t>(chunks.size()), [&](int64_t c, int) {
    const std::vector<Tensor>& want = chunks_[static_cast<size_t>(c)];
    const std::vector<Tensor> have = executor.run(source_.chunk(first_ + c).feed);
    for (size_t o = 0; o < want.size(); ++o)
      chunks[static_cast<size_t>(c)].push_back(compare(want[o], have[o], kind));
  });
  double distance = 0;
  for (size_t o = 0; !chunks.empty() && o < chunks[0].size(); ++o) {
    Sums all;
    for (const auto& chunk : chunks) {
      all.distance += chunk[o].distance;
      all.scale += chunk[o].scale;
    }
    distance += all.distance / std::max(all.scale, 1e-30);
  }
  return distance;
}

}  // namespace qtool::qdq
