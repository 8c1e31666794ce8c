#include "score/output_gradients.hpp"

#include <algorithm>
#include <cmath>

#include "qtool/gradient.hpp"

namespace qtool::fisher {
namespace {

// Random directions a sample; the outputs have tens to thousands of elements, and samples average too.
constexpr int kDirections = 2;

// Normal numbers that depend on the sample alone, divided by the outputs' norms over the chunk.
std::vector<Tensor> seeds_for(const std::vector<Tensor>& outputs, const Batch& batch,
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

// Adds the squares of a gradient up by channel.
void add_squares(const Tensor& gradient, bool channels_last, std::vector<double>& sums) {
  const int64_t rank = gradient.rank();
  const int64_t axis = channels_last ? rank - 1 : std::min<int64_t>(1, rank - 1);
  const int64_t channels = rank > 0 ? gradient.dim(axis) : 1;
  int64_t inner = 1;
  for (int64_t d = axis + 1; d < rank; ++d) inner *= gradient.dim(d);
  sums.resize(static_cast<size_t>(channels), 0.0);
  const float* g = gradient.data<float>().data();
  for (int64_t row = 0, rows = channels * inner > 0 ? gradient.size() / (channels * inner) : 0;
       row < rows; ++row) {
    for (double& sum : sums) {
      double squares = 0;
      for (int64_t i = 0; i < inner; ++i) squares += double{g[i]} * g[i];
      sum += squares;
      g += inner;
    }
  }
}

}  // namespace

double Sensitivity::total() const {
  double sum = 0;
  for (double c : channels) sum += c;
  return sum;
}

std::vector<Sensitivity> output_gradients(const Model& model, const std::vector<Probe>& probes,
                                          const SampleSource& source, int64_t chunks, int threads) {
  std::vector<std::string> names;
  for (const Probe& probe : probes) names.push_back(probe.value);
  const Gradient gradient(model, names);
  std::vector<Sensitivity> result(probes.size());
  double samples = 0;
  Progress progress("gradients", chunks, "chunks");
  parallel_ordered(threads, chunks, [&](int64_t c, int) -> std::function<void()> {
    const Batch batch = source.chunk(c);
    const Gradient::Tape tape = gradient.forward(batch.feed);
    auto found = std::make_shared<std::vector<Sensitivity>>(probes.size());
    for (int direction = 0; direction < kDirections; ++direction) {
      const auto d = gradient.backward(tape, seeds_for(tape.outputs, batch, direction));
      for (size_t p = 0; p < probes.size(); ++p) {
        const auto at = d.find(probes[p].value);
        if (at == d.end()) continue;
        Sensitivity& s = (*found)[p];
        add_squares(at->second, probes[p].channels_last, s.channels);
        s.positions = static_cast<double>(at->second.size()) /
                      static_cast<double>(std::max<size_t>(s.channels.size(), 1));
      }
    }
    return [&, found, n = static_cast<double>(batch.samples)] {
      // A chunk's sum is relative to the chunk's outputs: as many chunks, as many parts.
      for (size_t p = 0; p < probes.size(); ++p) {
        const Sensitivity& s = (*found)[p];
        if (result[p].channels.size() < s.channels.size())
          result[p].channels.resize(s.channels.size(), 0.0);
        for (size_t i = 0; i < s.channels.size(); ++i)
          result[p].channels[i] += s.channels[i] * n / kDirections;
        result[p].positions += s.positions;
      }
      samples += n;
      progress.advance(1);
    };
  });
  for (Sensitivity& s : result) {
    for (double& channel : s.channels) channel /= std::max(samples, 1.0);
    s.positions /= std::max(samples, 1.0);
  }
  return result;
}

}  // namespace qtool::fisher
