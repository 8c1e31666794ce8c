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

}  // namespace

double output_distance(const Model& reference, const Model& model, const SampleSource& source,
                       int64_t first, int64_t last, Distance kind, int threads) {
  const Executor a(reference), b(model);
  std::vector<double> distance(static_cast<size_t>(last - first), 0), power(distance.size(), 0);
  parallel_for(threads, last - first, [&](int64_t c, int) {
    const Batch batch = source.chunk(first + c);
    const Tensor want = a.run(batch.feed)[0], have = b.run(batch.feed)[0];
    if (want.dtype() != DType::kFloat || want.size() != have.size() || want.size() == 0) return;
    const float *p = want.data<float>().data(), *q = have.data<float>().data();
    const auto i = static_cast<size_t>(c);
    if (kind == Distance::kDivergence && want.rank() == 2 && want.dim(1) > 1) {
      for (int64_t r = 0; r < want.dim(0); ++r)
        distance[i] += divergence(p + r * want.dim(1), q + r * want.dim(1), want.dim(1));
      power[i] += static_cast<double>(want.dim(0));
      return;
    }
    for (int64_t k = 0; k < want.size(); ++k) {
      distance[i] += (static_cast<double>(p[k]) - q[k]) * (static_cast<double>(p[k]) - q[k]);
      power[i] += static_cast<double>(p[k]) * p[k];
    }
  });
  double total = 0, scale = 0;
  for (size_t i = 0; i < distance.size(); ++i) {
    total += distance[i];
    scale += power[i];
  }
  return total / std::max(scale, 1e-30);
}

}  // namespace qtool::qdq
