#include "score/output_noise.hpp"

#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/gradient.hpp"
#include "score/channel_sums.hpp"
#include "score/float_walk.hpp"
#include "score/run_time_codes.hpp"

namespace qtool::fisher {
namespace {

// Random directions a sample; the outputs have tens to thousands of elements, and samples average too.
constexpr int kDirections = 2;

// A layer alone, without bias, with weights from outside.
class Layer {
 public:
  Layer(const Model& model, const LayerSite& site) {
    const Graph& from = model.graph;
    const Node& node = node_of(model, site);
    input_ = from.value(node.inputs[0]).name;
    output_ = from.value(node.outputs[0]).name;
    Model alone;
    alone.opsets = model.opsets;
    alone.ir_version = model.ir_version;
    Graph& g = alone.graph;
    Node copy = node;
    copy.inputs = {add_value(g, "x", DType::kFloat), add_value(g, "w", DType::kFloat)};
    copy.outputs = {add_value(g, "y", DType::kFloat)};
    g.inputs = copy.inputs;
    g.outputs = copy.outputs;
    g.nodes.push_back(std::move(copy));
    executor_.emplace(alone);
  }
  const std::string& input() const { return input_; }
  const std::string& output() const { return output_; }
  Tensor run(const Tensor& x, const Tensor& weight) const {
    return executor_->run({{"x", x}, {"w", weight}})[0];
  }

 private:
  std::string input_, output_;
  std::optional<Executor> executor_;
};

// Sums over samples and directions of a layer, by channel and by change and channel: with g the
// gradient, a = Σ g · δy and b = Σ g over a sample's positions.
struct LayerSums {
  std::vector<double> bb;
  std::vector<std::vector<double>> aa, ab, shift;  // shift: Σ δy
  double positions = 0;                            // of one channel, in shift

  explicit LayerSums(size_t changes = 0) : aa(changes), ab(changes), shift(changes) {}
  static void add(std::vector<double>& to, const std::vector<double>& more, double weight) {
    to.resize(std::max(to.size(), more.size()), 0.0);
    for (size_t i = 0; i < more.size(); ++i) to[i] += weight * more[i];
  }
  // A chunk's sums are relative to the chunk's outputs: as many samples, as many parts.
  void merge(const LayerSums& chunk, double samples) {
    add(bb, chunk.bb, samples);
    for (size_t c = 0; c < aa.size(); ++c) {
      add(aa[c], chunk.aa[c], samples);
      add(ab[c], chunk.ab[c], samples);
      add(shift[c], chunk.shift[c], 1);
    }
    positions += chunk.positions;
  }
  void add_direction(const Tensor& gradient, const std::vector<Tensor>& errors,
                     const ChannelView& view) {
    const auto channels = static_cast<size_t>(view.channels);
    const float* g = gradient.data<float>().data();
    const auto b = view.sum(g);
    bb.resize(channels, 0.0);
    for (size_t i = 0; i < b.size(); ++i) bb[i % channels] += b[i] * b[i];
    for (size_t c = 0; c < errors.size(); ++c) {
      if (!errors[c].defined()) continue;
      const float* e = errors[c].data<float>().data();
      const auto a = view.sum(g, e);
      aa[c].resize(channels, 0.0);
      ab[c].resize(channels, 0.0);
      for (size_t i = 0; i < a.size(); ++i) {
        aa[c][i % channels] += a[i] * a[i];
        ab[c][i % channels] += a[i] * b[i];
      }
    }
  }
  // Of a row, whose index several output channels may share.
  std::vector<std::vector<double>> by_row(size_t rows, bool takes_bias, double count) const {
    std::vector<std::vector<double>> noise(rows, std::vector<double>(aa.size(), 0));
    for (size_t c = 0; c < aa.size(); ++c) {
      for (size_t i = 0; i < aa[c].size(); ++i) {
        const double mean = takes_bias ? shift[c][i] / std::max(positions, 1.0) : 0;
        const double power = aa[c][i] - 2 * mean * ab[c][i] + mean * mean * bb[i];
        noise[i % rows][c] += std::max(power, 0.0) / count;
      }
    }
    return noise;
  }
};

struct ChunkSums {
  std::vector<LayerSums> layers;
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
      alone_.emplace_back(model, *layer.site);
      wanted.push_back(alone_.back().output());
      kept.push_back(alone_.back().input());
    }
    gradient_.emplace(model, wanted, kept);
  }

  ChunkSums run(const Batch& batch) const {
    const Gradient::Tape tape = gradient_->forward(batch.feed);
    std::vector<std::vector<Tensor>> seeds;
    for (int direction = 0; direction < kDirections; ++direction)
      seeds.push_back(random_seeds(tape.outputs, batch, direction));
    ChunkSums sums;
    for (const LayerChanges& layer : layers_) sums.layers.emplace_back(layer.count);
    sums.activations.resize(activations_.size(), 0.0);
    sums.at_run_time.resize(activations_.size(), std::vector<double>(modes_.size(), 0.0));
    gradient_->backward(tape, seeds,
                        [&](const std::string& name, const std::vector<Tensor>& gradients) {
                          for (size_t l = 0; l < layers_.size(); ++l)
                            if (alone_[l].output() == name)
                              sums.layers[l] = layer(l, tape, gradients, batch.samples);
                          for (size_t a = 0; a < activations_.size(); ++a)
                            if (activations_[a] == name) activation(a, tape, gradients, sums);
                        });
    return sums;
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

  LayerSums layer(size_t l, const Gradient::Tape& tape, const std::vector<Tensor>& gradients,
                  int64_t samples) const {
    LayerSums sums(layers_[l].count);
    const Tensor x = gradient_->value(tape, alone_[l].input());
    std::vector<Tensor> errors;
    const auto defined = std::ranges::find_if(gradients, &Tensor::defined);
    const ChannelView view(*defined, samples, layers_[l].site->dense);
    for (size_t c = 0; c < layers_[l].count; ++c) {
      const Tensor change = layers_[l].change(c);
      errors.push_back(change.defined() ? alone_[l].run(x, change) : Tensor());
      if (!change.defined()) continue;
      const float* e = errors.back().data<float>().data();
      const auto by_sample = view.sum(e);
      sums.shift[c].resize(static_cast<size_t>(view.channels), 0.0);
      for (size_t i = 0; i < by_sample.size(); ++i)
        sums.shift[c][i % static_cast<size_t>(view.channels)] += by_sample[i];
    }
    sums.positions = static_cast<double>(view.samples * view.blocks * view.positions);
    for (const Tensor& gradient : gradients)
      if (gradient.defined()) sums.add_direction(gradient, errors, view);
    return sums;
  }

  const std::vector<LayerChanges>& layers_;
  const std::vector<std::string>& activations_;
  const std::vector<ActivationMode>& modes_;
  std::vector<Layer> alone_;
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
  for (const LayerChanges& layer : layers) all.layers.emplace_back(layer.count);
  all.activations.resize(activations.size(), 0.0);
  all.at_run_time.resize(activations.size());
  double samples = 0;
  Progress progress("gradients", chunks, "chunks");
  parallel_ordered(threads, chunks, [&](int64_t c, int) -> std::function<void()> {
    const Batch batch = source.chunk(c);
    auto sums = std::make_shared<ChunkSums>(work.run(batch));
    return [&, sums, n = static_cast<double>(batch.samples)] {
      for (size_t l = 0; l < layers.size(); ++l) all.layers[l].merge(sums->layers[l], n);
      LayerSums::add(all.activations, sums->activations, n);
      for (size_t a = 0; a < activations.size(); ++a)
        LayerSums::add(all.at_run_time[a], sums->at_run_time[a], n);
      samples += n;
      progress.advance(1);
    };
  });
  const double count = std::max(samples, 1.0) * kDirections;
  OutputNoise noise;
  for (size_t l = 0; l < layers.size(); ++l) {
    const LayerSite& site = *layers[l].site;
    noise.rows.push_back(
        all.layers[l].by_row(static_cast<size_t>(site.channels), site.takes_bias, count));
  }
  for (double power : all.activations) noise.activations.push_back(power / count);
  noise.at_run_time = std::move(all.at_run_time);
  for (std::vector<double>& activation : noise.at_run_time)
    for (double& power : activation) power /= count;
  return noise;
}

}  // namespace qtool::fisher
