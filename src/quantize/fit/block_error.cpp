#include "quantize/fit/block_error.hpp"

#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/gradient.hpp"

namespace qtool::qdq {
namespace {

using Tensors = std::vector<Tensor>;

// Random signs, so that the squares of what they are propagated to are those of the whole Jacobian on average.
Tensors random_seeds(const Tensors& outputs, uint64_t seed) {
  Rng random(seed);
  Tensors seeds;
  for (const Tensor& output : outputs) {
    seeds.emplace_back();
    if (output.dtype() != DType::kFloat) continue;
    double power = 1e-30;
    for (const float v : output.data<float>()) power += static_cast<double>(v) * v;
    const auto size = static_cast<float>(1 / std::sqrt(power));
    seeds.back() = Tensor::uninitialized(DType::kFloat, output.shape());
    for (float& v : seeds.back().mutable_data<float>()) v = random.below(2) == 0 ? size : -size;
  }
  return seeds;
}

}  // namespace

Channels::Channels(const Shape& shape) {
  if (shape.empty()) return;
  count = static_cast<size_t>(shape.size() == 4 ? shape[1] : shape.back());
  if (shape.size() == 4) inner = static_cast<size_t>(shape[2] * shape[3]);
}

BlockError::BlockError(const std::vector<Tensors>& want, std::vector<std::vector<float>> weights)
    : weights_(std::move(weights)), power_(weights_.size(), 1e-30) {
  for (const Tensors& outputs : want) {
    for (size_t o = 0; o < power_.size(); ++o) {
      const Channels channels(outputs[o].shape());
      const auto p = outputs[o].data<float>();
      for (size_t i = 0; i < p.size(); ++i) {
        const double weight = weights_[o].empty() ? 1.0 : weights_[o][channels.of(i)];
        power_[o] += weight * p[i] * p[i] / static_cast<double>(want.size());
      }
    }
  }
}

double BlockError::of(const Tensors& want, const Tensors& have) const {
  double error = 0;
  for (size_t o = 0; o < power_.size(); ++o) {
    const Channels channels(want[o].shape());
    const auto p = want[o].data<float>(), q = have[o].data<float>();
    double sum = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      const double off = static_cast<double>(q[i]) - p[i];
      sum += off * off * (weights_[o].empty() ? 1.0 : weights_[o][channels.of(i)]);
    }
    error += sum / power_[o];
  }
  return error;
}

Tensors BlockError::slopes(const Tensors& want, const Tensors& have) const {
  Tensors slopes;
  for (size_t o = 0; o < power_.size(); ++o) {
    const Channels channels(want[o].shape());
    slopes.push_back(Tensor::uninitialized(DType::kFloat, want[o].shape()));
    const auto p = want[o].data<float>(), q = have[o].data<float>();
    auto d = slopes.back().mutable_data<float>();
    for (size_t i = 0; i < d.size(); ++i) {
      const double weight = weights_[o].empty() ? 1.0 : weights_[o][channels.of(i)];
      d[i] = static_cast<float>(2 * weight * (static_cast<double>(q[i]) - p[i]) / power_[o]);
    }
  }
  return slopes;
}

std::map<std::string, std::vector<float>> channel_weights(const Model& model,
                                                          const std::vector<std::string>& values,
                                                          const SampleSource& source,
                                                          const std::vector<int64_t>& chunks,
                                                          int threads) {
  const Gradient gradient(model, values);
  std::vector<std::map<std::string, std::vector<double>>> found(chunks.size());
  parallel_for(threads, static_cast<int64_t>(chunks.size()), [&](int64_t c, int) {
    const auto i = static_cast<size_t>(c);
    const Gradient::Tape tape = gradient.forward(source.chunk(chunks[i]).feed);
    const auto slopes =
        gradient.backward(tape, random_seeds(tape.outputs, static_cast<uint64_t>(c) + 1));
    for (const auto& [name, slope] : slopes) {
      const Channels channels(slope.shape());
      std::vector<double>& squares = found[i][name];
      squares.resize(channels.count, 0.0);
      const auto d = slope.data<float>();
      for (size_t e = 0; e < d.size(); ++e)
        squares[channels.of(e)] += static_cast<double>(d[e]) * d[e];
    }
  });
  std::map<std::string, std::vector<float>> weights;
  for (const std::string& name : values) {
    std::vector<double> sum;
    for (auto& chunk : found) {
      const std::vector<double>& squares = chunk[name];
      sum.resize(std::max(sum.size(), squares.size()), 0.0);
      for (size_t i = 0; i < squares.size(); ++i) sum[i] += squares[i];
    }
    double mean = 0;
    for (const double s : sum) mean += s / static_cast<double>(sum.size());
    if (mean <= 0) continue;
    for (const double s : sum) weights[name].push_back(static_cast<float>(s / mean));
  }
  return weights;
}

}  // namespace qtool::qdq
