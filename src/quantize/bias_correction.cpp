// Quantization shifts a layer's mean output; the shift is measured channel by channel and taken off
// the bias. Layers are walked in graph order and each sees the corrected ones before it.
#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// Sums of a value per channel (axis 1 for convolutions, last axis for dense layers).
struct ChannelSums {
  std::vector<double> sums;
  int64_t per_channel = 0;

  void add(const Tensor& value, bool dense) {
    const int64_t channels = dense ? value.dim(-1) : value.dim(1);
    int64_t inner = 1;
    for (int64_t d = 2; !dense && d < value.rank(); ++d) inner *= value.dim(d);
    sums.resize(static_cast<size_t>(channels), 0.0);
    const float* x = value.data<float>().data();
    const int64_t outer = value.size() / (channels * inner);
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (int64_t i = 0; i < inner; ++i) sum += *x++;
        sums[static_cast<size_t>(c)] += sum;
      }
    }
    per_channel += outer * inner;
  }
  void merge(const ChannelSums& other) {
    sums.resize(std::max(sums.size(), other.sums.size()), 0.0);
    for (size_t i = 0; i < other.sums.size(); ++i) sums[i] += other.sums[i];
    per_channel += other.per_channel;
  }
  double mean(size_t c) const {
    return sums[c] / static_cast<double>(std::max<int64_t>(per_channel, 1));
  }
};

// Adds a shift per channel to a layer's output.
Tensor shifted(Tensor value, const std::vector<float>& shift, bool dense) {
  const auto channels = static_cast<int64_t>(shift.size());
  int64_t inner = 1;
  for (int64_t d = 2; !dense && d < value.rank(); ++d) inner *= value.dim(d);
  float* x = value.mutable_data<float>().data();
  const int64_t outer = value.size() / (channels * inner);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < inner; ++i) *x++ += shift[static_cast<size_t>(c)];
    }
  }
  return value;
}

std::string raw_output(const Model& model, const std::string& layer) {
  for (const Node& node : model.graph.nodes)
    if (node.name == layer) return model.graph.value(node.outputs[0]).name;
  return "";
}

}  // namespace

LayerResults corrected_biases(const Model& model, const Sites& sites,
                              const ActivationParams& activations, const LayerResults& layers,
                              const SampleSource& source, int64_t chunks, int threads) {
  const Model quantized = insert_qdq(model, sites, activations, layers);
  std::vector<const LayerSite*> order;
  ExecOptions float_options, quantized_options;
  for (const LayerSite& site : sites.layers) {
    if (!layers.contains(site.name) || !site.takes_bias) continue;
    order.push_back(&site);
    float_options.observe.insert(raw_output(model, site.name));
    quantized_options.observe.insert(raw_output(quantized, site.name));
  }
  const Executor reference(model, float_options), simulated(quantized, quantized_options);
  const auto count = static_cast<size_t>(chunks);
  std::vector<State> float_states(count), states(count);
  parallel_for(threads, chunks, [&](int64_t c, int) {
    const Batch batch = source.chunk(c);
    float_states[static_cast<size_t>(c)] = reference.start(batch.feed);
    states[static_cast<size_t>(c)] = simulated.start(batch.feed);
  });
  LayerResults corrected = layers;
  for (const LayerSite* site : order) {
    const bool dense = site->dense;
    const std::string want_name = raw_output(model, site->name),
                      have_name = raw_output(quantized, site->name);
    std::vector<ChannelSums> want(count), have(count);
    parallel_for(threads, chunks, [&](int64_t c, int) {
      const auto i = static_cast<size_t>(c);
      reference.advance(float_states[i], reference.step_of(site->name) + 1);
      simulated.advance(states[i], simulated.step_of(site->name) + 1);
      want[i].add(reference.get(float_states[i], want_name), dense);
      have[i].add(simulated.get(states[i], have_name), dense);
    });
    for (size_t i = 1; i < count; ++i) {
      want[0].merge(want[i]);
      have[0].merge(have[i]);
    }
    LayerResult& layer = corrected[site->name];
    layer.bias.resize(want[0].sums.size(), 0.f);
    std::vector<float> shift;
    for (size_t c = 0; c < layer.bias.size(); ++c) {
      shift.push_back(static_cast<float>(want[0].mean(c) - have[0].mean(c)));
      layer.bias[c] += shift.back();
    }
    parallel_for(threads, chunks, [&](int64_t c, int) {
      State& state = states[static_cast<size_t>(c)];
      simulated.set(state, have_name, shifted(simulated.get(state, have_name), shift, dense));
    });
  }
  return corrected;
}

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
                       int64_t first, int64_t last, int threads) {
  const Executor a(reference), b(model);
  std::vector<double> distance(static_cast<size_t>(last - first), 0), power(distance.size(), 0);
  parallel_for(threads, last - first, [&](int64_t c, int) {
    const Batch batch = source.chunk(first + c);
    const Tensor want = a.run(batch.feed)[0], have = b.run(batch.feed)[0];
    if (want.dtype() != DType::kFloat || want.size() != have.size() || want.size() == 0) return;
    const float *p = want.data<float>().data(), *q = have.data<float>().data();
    const auto i = static_cast<size_t>(c);
    if (want.rank() == 2 && want.dim(1) > 1) {
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
