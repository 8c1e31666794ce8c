#include "quantize/fit/distill.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "qtool/exec.hpp"
#include "quantize/fit/knob_descent.hpp"

namespace qtool::qdq {
namespace {

// Chunks whose gradients are summed for one step: fixed, so that results do not depend on threads.
constexpr int64_t kChunksPerStep = 8;
constexpr double kRate = 3e-3;  // of the units below

using Tensors = std::vector<Tensor>;

// ∂/∂output of the noise power relative to the output's power.
Tensor noise_slope(const Tensor& want, const Tensor& have) {
  if (want.dtype() != DType::kFloat || want.size() != have.size()) return {};
  Tensor slope = Tensor::uninitialized(DType::kFloat, have.shape());
  const auto p = want.data<float>(), q = have.data<float>();
  auto d = slope.mutable_data<float>();
  double power = 1e-30;
  for (const float v : p) power += static_cast<double>(v) * v;
  for (size_t i = 0; i < d.size(); ++i)
    d[i] = static_cast<float>(2 * (static_cast<double>(q[i]) - p[i]) / power);
  return slope;
}

class Tuning {
 public:
  Tuning(const Model& model, const TunableNetwork& network, const SampleSource& source,
         const DistillOptions& options)
      : network_(network), source_(source), options_(options), gradient_(make_gradient()) {
    wanted_.resize(static_cast<size_t>(options.last_chunk));
    const Executor reference(model);
    parallel_for(options.threads, options.last_chunk, [&](int64_t c, int) {
      wanted_[static_cast<size_t>(c)] = reference.run(source.chunk(c).feed);
    });
    Feed feed = source.chunk(0).feed;
    for (const TunableNetwork::Knob& knob : network.knobs()) feed[knob.name] = knob.start;
    const Gradient::Tape tape = gradient_.forward(feed);
    for (const TunableNetwork::Knob& knob : network.knobs()) {
      const auto raw = network.raw_outputs().find(knob.of);
      knobs_.emplace_back(
          knob, raw == network.raw_outputs().end() ? Tensor() : gradient_.value(tape, raw->second));
    }
  }

  // The values of the best round.
  Tensors run() {
    Tensors best = values();
    double least = judge();
    log(LogLevel::kDebug, cat("tuning: held-out noise ", least));
    const int64_t per_round = (options_.fit_chunks + kChunksPerStep - 1) / kChunksPerStep;
    const int64_t all = per_round * options_.rounds;
    Progress progress("tuning", all, "steps");
    for (int round = 0; round < options_.rounds; ++round) {
      for (int64_t s = 0; s < per_round; ++s) {
        step(s * kChunksPerStep, static_cast<double>(taken_) / static_cast<double>(all));
        progress.advance(1);
      }
      const double now = judge();
      log(LogLevel::kDebug, cat("tuning, round ", round + 1, ": held-out noise ", now));
      if (now >= least) continue;
      least = now;
      best = values();
      improved_ = true;
    }
    return best;
  }
  bool improved() const { return improved_; }

 private:
  Gradient make_gradient() const {
    std::vector<std::string> knobs, raw;
    for (const TunableNetwork::Knob& knob : network_.knobs()) knobs.push_back(knob.name);
    for (const auto& [layer, value] : network_.raw_outputs()) raw.push_back(value);
    return Gradient(network_.model(), knobs, raw);
  }

  Tensors values() const {
    Tensors all;
    for (const KnobDescent& knob : knobs_) all.push_back(knob.value());
    return all;
  }

  Feed with_values(Feed feed) const {
    for (size_t k = 0; k < knobs_.size(); ++k) feed[network_.knobs()[k].name] = knobs_[k].value();
    return feed;
  }

  // Noise of the samples held out.
  double judge() const {
    const int64_t count = options_.last_chunk - options_.fit_chunks;
    std::vector<double> noise(static_cast<size_t>(count));
    parallel_for(options_.threads, count, [&](int64_t i, int) {
      const auto c = static_cast<size_t>(options_.fit_chunks + i);
      const Feed feed = with_values(source_.chunk(static_cast<int64_t>(c)).feed);
      noise[static_cast<size_t>(i)] = relative_noise(wanted_[c], gradient_.forward(feed).outputs);
    });
    double sum = 0;
    for (const double n : noise) sum += n / static_cast<double>(count);
    return sum;
  }

  std::map<std::string, Tensor> gradients_of(int64_t chunk) const {
    const Gradient::Tape tape = gradient_.forward(with_values(source_.chunk(chunk).feed));
    Tensors seeds;
    for (size_t o = 0; o < tape.outputs.size(); ++o)
      seeds.push_back(noise_slope(wanted_[static_cast<size_t>(chunk)][o], tape.outputs[o]));
    return gradient_.backward(tape, seeds);
  }

  void step(int64_t first, double progress) {
    const int64_t count = std::min(kChunksPerStep, options_.fit_chunks - first);
    ChunkGradients found(static_cast<size_t>(count));
    parallel_for(options_.threads, count,
                 [&](int64_t i, int) { found[static_cast<size_t>(i)] = gradients_of(first + i); });
    ++taken_;
    const double rate = kRate * 0.5 * (1 + std::cos(std::numbers::pi * progress));
    for (KnobDescent& knob : knobs_) knob.step(rate, found);
  }

  const TunableNetwork& network_;
  const SampleSource& source_;
  const DistillOptions& options_;
  const Gradient gradient_;
  std::vector<Tensors> wanted_;  // float outputs by chunk
  std::vector<KnobDescent> knobs_;
  int64_t taken_ = 0;
  bool improved_ = false;
};

}  // namespace

bool distill(const Model& model, const Sites& sites, const QuantPlan& plan,
             const SampleSource& source, const DistillOptions& options, LayerResults& layers,
             ActivationParams& activations) {
  const TunableNetwork network(model, sites, plan, activations, layers);
  if (network.knobs().empty()) return false;
  Tuning tuning(model, network, source, options);
  const Tensors values = tuning.run();
  if (!tuning.improved()) return false;
  network.apply(values, layers, activations);
  return true;
}

}  // namespace qtool::qdq
