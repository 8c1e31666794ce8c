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
  double noise = 0, power = 0;
  double divergence = 0;
  int64_t rows = 0;  // of class scores; 0: the output has none

  double relative_noise() const { return noise / std::max(power, 1e-30); }
  void add(const Sums& other) {
    noise += other.noise;
    power += other.power;
    divergence += other.divergence;
    rows += other.rows;
  }
};

Sums compare(const Tensor& want, const Tensor& have, Distance kind) {
  Sums sums;
  if (want.dtype() != DType::kFloat) return sums;
  const float* p = want.data<float>().data();
  if (want.size() != have.size()) {  // as many boxes as the network found: all of it is wrong
    for (int64_t k = 0; k < want.size(); ++k) sums.power += static_cast<double>(p[k]) * p[k];
    sums.noise = sums.power;
    return sums;
  }
  const float* q = have.data<float>().data();
  for (int64_t k = 0; k < want.size(); ++k) {
    const double off = static_cast<double>(p[k]) - q[k];
    sums.noise += off * off;
    sums.power += static_cast<double>(p[k]) * p[k];
  }
  if (kind != Distance::kAnswers || want.rank() != 2 || want.dim(1) < 2) return sums;
  sums.rows = want.dim(0);
  for (int64_t r = 0; r < sums.rows; ++r)
    sums.divergence += divergence(p + r * want.dim(1), q + r * want.dim(1), want.dim(1));
  return sums;
}

// From here on, packed weights go as soon as every chunk has passed their step.
constexpr int64_t kLargeWeights = int64_t{256} << 20;

int64_t weight_bytes(const Model& model) {
  int64_t bytes = 0;
  for (const auto& [id, constant] : model.graph.initializers) bytes += constant.data.bytes();
  return bytes;
}

// Feeds up to this size altogether are kept between runs: pictures take half as long to decode as to look at.
constexpr int64_t kKeptBytes = int64_t{64} << 20;

int64_t feed_bytes(const Feed& feed) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : feed) bytes += tensor.bytes();
  return bytes;
}

// The outputs of every chunk.
std::vector<std::vector<Tensor>> run_chunks(const Model& model, int64_t count,
                                            const std::function<Feed(int64_t)>& feed, int threads) {
  const Executor executor(model);
  std::vector<std::vector<Tensor>> outputs(static_cast<size_t>(count));
  if (weight_bytes(model) < kLargeWeights) {
    parallel_for(threads, count,
                 [&](int64_t c, int) { outputs[static_cast<size_t>(c)] = executor.run(feed(c)); });
    return outputs;
  }
  std::vector<State> states(static_cast<size_t>(count));
  for (int64_t c = 0; c < count; ++c) states[static_cast<size_t>(c)] = executor.start(feed(c));
  for (int step = 0; step < executor.step_count(); ++step) {
    parallel_for(threads, count, [&](int64_t c, int) {
      executor.advance(states[static_cast<size_t>(c)], step + 1);
    });
    executor.forget(step, step + 1);
  }
  for (size_t c = 0; c < states.size(); ++c) outputs[c] = executor.finish(states[c]);
  return outputs;
}

}  // namespace

double relative_noise(const std::vector<Tensor>& want, const std::vector<Tensor>& have) {
  double noise = 0;
  for (size_t o = 0; o < want.size(); ++o) {
    noise += compare(want[o], have[o], Distance::kNoise).relative_noise();
  }
  return noise;
}

OutputReference::OutputReference(const Model& reference, const SampleSource& source, int64_t first,
                                 int64_t last, int threads)
    : source_(source), first_(first), threads_(threads) {
  const int64_t count = last - first;
  if (count > 0 && feed_bytes(source.chunk(first).feed) * count <= kKeptBytes) {
    std::vector<Feed> feeds(static_cast<size_t>(count));
    parallel_for(threads, count, [&](int64_t c, int) {
      feeds[static_cast<size_t>(c)] = source.chunk(first + c).feed;
    });
    feeds_ = std::move(feeds);
  }
  chunks_ = run(reference, count);
}

std::vector<std::vector<Tensor>> OutputReference::run(const Model& model, int64_t count) const {
  const auto feed = [&](int64_t c) {
    return feeds_.empty() ? source_.chunk(first_ + c).feed : feeds_[static_cast<size_t>(c)];
  };
  return run_chunks(model, count, feed, threads_);
}

double OutputReference::distance(const Model& model, Distance kind) const {
  const auto outputs = run(model, static_cast<int64_t>(chunks_.size()));
  std::vector<std::vector<Sums>> chunks(chunks_.size());
  parallel_for(threads_, static_cast<int64_t>(chunks.size()), [&](int64_t c, int) {
    const auto i = static_cast<size_t>(c);
    for (size_t o = 0; o < chunks_[i].size(); ++o)
      chunks[i].push_back(compare(chunks_[i][o], outputs[i][o], kind));
  });
  double distance = 0;
  for (size_t o = 0; !chunks.empty() && o < chunks[0].size(); ++o) {
    Sums all;
    for (const auto& chunk : chunks) all.add(chunk[o]);
    const double noise = all.relative_noise();
    distance +=
        all.rows > 0
            ? std::sqrt(noise * std::max(all.divergence, 0.0) / static_cast<double>(all.rows))
            : noise;
  }
  return distance;
}

}  // namespace qtool::qdq
