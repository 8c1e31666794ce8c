// Factors that move outliers of activations into the weights that read them (SmoothQuant, arXiv 2211.10438).
#include <algorithm>
#include <cmath>

#include "qtool/calibrate.hpp"

namespace qtool {
namespace {

constexpr double kPowers[] = {0.25, 0.5, 0.75};
constexpr double kLeastGainDb = 0.5;
// Rows of a value that errors are measured on, and rows of a reader's weight.
constexpr int64_t kRows = 512, kOutputs = 256;
constexpr int kBits = 8;

// Some rows of every value, spread over a chunk, and the largest magnitudes of channels over all of it.
struct Seen {
  std::vector<float> rows;  // [rows][channels]
  std::vector<float> largest;
};

class Sampler : public Tap {
 public:
  Sampler(const std::map<std::string, size_t>& positions, int64_t rows)
      : positions_(positions), rows_(rows), seen_(positions.size()) {}

  void on_value(const std::string& name, Tensor& value) override {
    const auto it = positions_.find(name);
    if (it == positions_.end() || value.dtype() != DType::kFloat || value.size() == 0) return;
    Seen& seen = seen_[it->second];
    const auto channels = static_cast<size_t>(value.dim(-1));
    const auto data = value.data<float>();
    const int64_t all = value.size() / value.dim(-1), count = std::min(rows_, all);
    for (int64_t i = 0; i < count; ++i) {
      const auto row = data.subspan(static_cast<size_t>(i * all / count) * channels, channels);
      seen.rows.insert(seen.rows.end(), row.begin(), row.end());
    }
    seen.largest.assign(channels, 0.f);
    for (size_t i = 0; i < data.size(); ++i)
      seen.largest[i % channels] = std::max(seen.largest[i % channels], std::fabs(data[i]));
  }

  bool replaces() const override { return false; }
  std::vector<Seen> take() { return std::move(seen_); }

 private:
  const std::map<std::string, size_t>& positions_;
  int64_t rows_;
  std::vector<Seen> seen_;
};

std::vector<Seen> sample(const Model& model, const std::vector<ScalableValue>& values,
                         const SampleSource& source, int threads) {
  std::map<std::string, size_t> positions;
  ExecOptions options;
  for (const ScalableValue& value : values) {
    positions.emplace(value.name, positions.size());
    options.observe.insert(value.name);
  }
  const Executor executor(model, options);
  const int64_t chunks = source.chunk_count(), each = (kRows + chunks - 1) / chunks;
  std::vector<std::vector<Seen>> parts(static_cast<size_t>(chunks));
  parallel_for(threads, chunks, [&](int64_t c, int) {
    Sampler sampler(positions, each);
    executor.run(source.chunk(c).feed, &sampler);
    parts[static_cast<size_t>(c)] = sampler.take();
  });
  std::vector<Seen> all = std::move(parts[0]);
  for (size_t c = 1; c < parts.size(); ++c) {
    for (size_t v = 0; v < all.size(); ++v) {
      const Seen& part = parts[c][v];
      all[v].rows.insert(all[v].rows.end(), part.rows.begin(), part.rows.end());
      for (size_t i = 0; i < part.largest.size(); ++i)
        all[v].largest[i] = std::max(all[v].largest[i], part.largest[i]);
    }
  }
  return all;
}

// [channels][outputs] of a reader, some of its outputs.
std::vector<float> columns_of(const ChannelReader& reader) {
  const int64_t channels = reader.channels(), rows = reader.weight->dim(reader.row_axis),
                outputs = std::min(rows, kOutputs);
  std::vector<float> columns(static_cast<size_t>(channels * outputs));
  const auto weight = reader.weight->data<float>();
  const Shape strides = strides_of(reader.weight->shape());
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t c = 0; c < channels; ++c)
      columns[static_cast<size_t>(c * outputs + o)] = weight[static_cast<size_t>(
          o * rows / outputs * strides[static_cast<size_t>(reader.row_axis)] +
          c * strides[static_cast<size_t>(reader.channel_axis)])];
  }
  return columns;
}

void round_to(std::vector<float>& values, size_t first, size_t step, float scale) {
  if (!(scale > 0)) return;
  for (size_t i = first; i < values.size(); i += step)
    values[i] = std::nearbyint(values[i] / scale) * scale;
}

// What rounding both in 8 bits leaves in the layer's outputs, relative to their power, with the channels times
// `factors`.
double noise(const Seen& seen, const std::vector<float>& columns,
             const std::vector<float>& factors) {
  const size_t channels = factors.size(), rows = seen.rows.size() / channels,
               outputs = columns.size() / channels;
  std::vector<float> x(seen.rows.size()), w = columns, want(rows * outputs, 0.f);
  std::vector<float> plain(x.size());
  float low = 0, high = 0;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < channels; ++c) {
      // As [channels][rows], which products take.
      plain[c * rows + r] = seen.rows[r * channels + c];
      const float value = x[c * rows + r] = seen.rows[r * channels + c] * factors[c];
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  round_to(x, 0, 1, (high - low) / static_cast<float>((1 << kBits) - 1));
  for (size_t o = 0; o < outputs; ++o) {
    float largest = 0;
    for (size_t c = 0; c < channels; ++c) {
      float& weight = w[c * outputs + o];
      weight /= factors[c];
      largest = std::max(largest, std::fabs(weight));
    }
    round_to(w, o, outputs, largest / static_cast<float>((1 << (kBits - 1)) - 1));
  }
  std::vector<float> have(want.size(), 0.f);
  const auto m = static_cast<int64_t>(rows), n = static_cast<int64_t>(outputs),
             k = static_cast<int64_t>(channels);
  add_product(plain.data(), m, columns.data(), n, want.data(), n, m, n, k);
  add_product(x.data(), m, w.data(), n, have.data(), n, m, n, k);
  double off = 0, power = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double d = static_cast<double>(have[i]) - want[i];
    off += d * d;
    power += static_cast<double>(want[i]) * want[i];
  }
  return power > 0 ? off / power : 0;
}

Equalized best_factors(const ScalableValue& value, const Seen& seen) {
  const size_t channels = seen.largest.size();
  std::vector<std::vector<float>> columns;
  std::vector<float> weights(channels, 0.f);  // largest magnitude of a channel over all readers
  for (const ChannelReader& reader : value.readers) {
    columns.push_back(columns_of(reader));
    const size_t outputs = columns.back().size() / channels;
    for (size_t i = 0; i < columns.back().size(); ++i)
      weights[i / outputs] = std::max(weights[i / outputs], std::fabs(columns.back()[i]));
  }
  const auto noise_of = [&](const std::vector<float>& factors) {
    double sum = 0;
    for (const std::vector<float>& c : columns) sum += noise(seen, c, factors);
    return sum;
  };
  std::vector<float> factors(channels, 1.f);
  const double before = noise_of(factors);
  Equalized best{value.name, {}, 0};
  for (double power : kPowers) {
    double logs = 0;
    for (size_t c = 0; c < channels; ++c) {
      // Channels that are always 0, or that nobody weighs, stay.
      const bool used = seen.largest[c] > 0 && weights[c] > 0;
      const double by =
          used ? std::pow(weights[c], 1 - power) / std::pow(seen.largest[c], power) : 1;
      factors[c] = static_cast<float>(by);
      logs += std::log(by);
    }
    const double middle = std::exp(logs / static_cast<double>(channels));
    for (float& f : factors) f = static_cast<float>(f / middle);
    const double gain = 10 * std::log10(before / noise_of(factors));
    if (gain >= kLeastGainDb && gain > best.gain_db) best = {value.name, factors, gain};
  }
  return best;
}

}  // namespace

std::vector<Equalized> migrate_outliers(const Model& model,
                                        const std::vector<ScalableValue>& values,
                                        const SampleSource& source, int threads) {
  if (values.empty()) return {};
  const std::vector<Seen> seen = sample(model, values, source, threads);
  std::vector<Equalized> found(values.size());
  parallel_for(threads, static_cast<int64_t>(values.size()), [&](int64_t v, int) {
    const auto i = static_cast<size_t>(v);
    const auto channels = static_cast<size_t>(values[i].readers[0].channels());
    if (seen[i].largest.size() == channels) found[i] = best_factors(values[i], seen[i]);
  });
  std::erase_if(found, [](const Equalized& e) { return e.factors.empty(); });
  return found;
}

}  // namespace qtool
