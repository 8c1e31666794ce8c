#include "score/output_noise.hpp"

#include <algorithm>
#include <cmath>

#include "qtool/gradient.hpp"
#include "score/channel_sums.hpp"
#include "score/float_walk.hpp"
#include "score/run_time_codes.hpp"

namespace qtool::fisher {
namespace {

// Random directions a sample; the outputs have tens to thousands of elements, and samples average too.
constexpr int kDirections = 2;

struct ChunkSums {
  std::vector<RowSums> layers;
  std::vector<double> activations;
  std::vector<std::vector<double>> at_run_time;
};

class Chunks {
 public:
  Chunks(const Model& model, const std::vector<LayerChanges>& layers,
         const std::vector<std::string>& activations, const std::vector<ActivationMode>& modes)
      : layers_(layers), activations_(activations), modes_(modes) {
    std::vector<std::string> wanted = activations, kept;
    if (!modes.empty()) kept = activations;
    for (const LayerChanges& layer : layers) {
      rows_.emplace_back(model, *layer.site);
      wanted.push_back(rows_.back().output());
      kept.push_back(rows_.back().input());
    }
    gradient_.emplace(model, wanted, kept);
  }

  ChunkSums run(const Batch& batch) const {
    Gradient::Tape tape = gradient_->forward(batch.feed);
    std::vector<std::vector<Tensor>> seeds;
    for (int direction = 0; direction < kDirections; ++direction)
      seeds.push_back(random_seeds(tape.outputs, batch, direction));
    ChunkSums sums;
    for (const LayerChanges& layer : layers_) sums.layers.emplace_back(layer.changes.size());
    sums.activations.resize(activations_.size(), 0.0);
    sums.at_run_time.resize(activations_.size(), std::vector<double>(modes_.size(), 0.0));
    gradient_->backward(
        tape, seeds, [&](const std::string& name, const std::vector<Tensor>& gradients) {
          for (size_t l = 0; l < layers_.size(); ++l)
            if (rows_[l].output() == name)
              sums.layers[l] = rows_[l].sums(layers_[l], gradient_->value(tape, rows_[l].input()),
                                             gradients, batch.samples);
          for (size_t a = 0; a < activations_.size(); ++a)
            if (activations_[a] == name) activation(a, tape, gradients, sums);
        });
    return sums;
  }
  std::vector<std::vector<double>> by_row(size_t layer, const RowSums& sums, double count) const {
    return rows_[layer].by_row(layers_[layer], sums, count);
  }

 private:
  void activation(size_t a, const Gradient::Tape& tape, const std::vector<Tensor>& gradients,
                  ChunkSums& sums) const {
    for (const Tensor& gradient : gradients)
      if (gradient.defined()) sums.activations[a] += sum_of_squares(gradient);
    for (size_t m = 0; m < modes_.size(); ++m) {
      const Tensor x = gradient_->value(tape, activations_[a]),
                   codes = scoring::run_time_codes(x, modes_[m]);
      const auto want = x.data<float>(), have = codes.data<float>();
      for (const Tensor& gradient : gradients) {
        if (!gradient.defined()) continue;
        const auto g = gradient.data<float>();
        for (size_t i = 0; i < g.size(); ++i) {
          const double error = double{g[i]} * (have[i] - want[i]);
          sums.at_run_time[a][m] += error * error;
        }
      }
    }
  }

  const std::vector<LayerChanges>& layers_;
  const std::vector<std::string>& activations_;
  const std::vector<ActivationMode>& modes_;
  std::vector<RowNoise> rows_;
  std::optional<Gradient> gradient_;
};

}  // namespace

std::vector<Tensor> random_seeds(const std::vector<Tensor>& outputs, const Batch& batch,
                                 int direction) {
  std::vector<Tensor> seeds;
  for (size_t o = 0; o < outputs.size(); ++o) {
    seeds.emplace_back();
    const Tensor& y = outputs[o];
    if (y.dtype() != DType::kFloat || y.size() == 0) continue;
    double signal = 0;
    for (float v : y.data<float>()) signal += double{v} * v;
    const double scale = 1 / std::sqrt(std::max(signal, 1e-30));
    seeds.back() = Tensor(DType::kFloat, y.shape());
    auto seed = seeds.back().mutable_data<float>();
    const bool batched = y.rank() > 0 && y.dim(0) % std::max<int64_t>(batch.samples, 1) == 0;
    const int64_t samples = batched ? std::max<int64_t>(batch.samples, 1) : 1;
    const size_t each = seed.size() / static_cast<size_t>(samples);
    for (int64_t s = 0; s < samples; ++s) {
      const auto sample = static_cast<uint64_t>(batch.first_sample + s);
      Rng rng((sample * 64 + o) * kDirections + static_cast<uint64_t>(direction));
      for (size_t i = 0; i < each; ++i)
        seed[static_cast<size_t>(s) * each + i] = static_cast<float>(rng.normal() * scale);
    }
  }
  return seeds;
}

void require_gradients(const Model& model, const std::vector<const LayerSite*>& layers,
                       const std::vector<std::string>& activations) {
  std::vector<LayerChanges> none;
  for (const LayerSite* site : layers) none.push_back({site});
  const std::vector<ActivationMode> modes;
  (void)Chunks(model, none, activations, modes);
}

OutputNoise output_noise(const Model& model, const std::vector<LayerChanges>& layers,
                         const std::vector<std::string>& activations,
                         const std::vector<ActivationMode>& modes, const SampleSource& source,
                         int64_t chunks, int threads) {
  const Chunks work(model, layers, activations, modes);
  ChunkSums all;
  for (const LayerChanges& layer : layers) all.layers.emplace_back(layer.changes.size());
  all.activations.resize(activations.size(), 0.0);
  all.at_run_time.resize(activations.size());
  double samples = 0;
  Progress progress("gradients", chunks, "chunks");
  parallel_ordered(threads, chunks, [&](int64_t c, int) -> std::function<void()> {
    const Batch batch = source.chunk(c);
    auto sums = std::make_shared<ChunkSums>(work.run(batch));
    return [&, sums, n = static_cast<double>(batch.samples)] {
      for (size_t l = 0; l < layers.size(); ++l) all.layers[l].add(sums->layers[l], n);
      add_to(all.activations, sums->activations, n);
      for (size_t a = 0; a < activations.size(); ++a)
        add_to(all.at_run_time[a], sums->at_run_time[a], n);
      samples += n;
      progress.advance(1);
    };
  });
  const double count = std::max(samples, 1.0) * kDirections;
  OutputNoise noise;
  for (size_t l = 0; l < layers.size(); ++l)
    noise.rows.push_back(work.by_row(l, all.layers[l], count));
  for (double power : all.activations) noise.activations.push_back(power / count);
  noise.at_run_time = std::move(all.at_run_time);
  for (std::vector<double>& activation : noise.at_run_time)
    for (double& power : activation) power /= count;
  return noise;
}

}  // namespace qtool::fisher
