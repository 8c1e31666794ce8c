// Which edits of its channels make what dense layers read easier to round, by measured errors of the layers.
#include <algorithm>
#include <cmath>

#include "calibrate/outliers/outliers.hpp"

namespace qtool {
namespace {

// Rows of a value that errors are measured on, and rows of a reader's weight.
constexpr int64_t kRows = 512, kLeastRows = 64, kOutputs = 256;
constexpr int64_t kMemory = int64_t{512} << 20;  // for the rows of all values
constexpr int kBits = 8;

// Some rows of every value, spread over a chunk, and how far channels reach in all of it.
struct Seen {
  std::vector<float> rows;  // [rows][channels]
  std::vector<float> low, high;

  void take(const Seen& other) {
    rows.insert(rows.end(), other.rows.begin(), other.rows.end());
    if (low.empty()) low = other.low, high = other.high;
    for (size_t c = 0; c < other.low.size(); ++c) {
      low[c] = std::min(low[c], other.low[c]);
      high[c] = std::max(high[c], other.high[c]);
    }
  }
};

class Sampler : public Tap {
 public:
  Sampler(const std::map<std::string, size_t>& positions, int64_t rows)
      : positions_(positions), rows_(rows), seen_(positions.size()) {}

  void on_value(const std::string& name, Tensor& value) override {
    const auto it = positions_.find(name);
    if (it == positions_.end() || value.dtype() != DType::kFloat || value.size() == 0) return;
    const auto channels = static_cast<size_t>(value.dim(-1));
    const auto data = value.data<float>();
    Seen seen;
    const int64_t all = value.size() / value.dim(-1), count = std::min(rows_, all);
    for (int64_t i = 0; i < count; ++i) {
      const auto row = data.subspan(static_cast<size_t>(i * all / count) * channels, channels);
      seen.rows.insert(seen.rows.end(), row.begin(), row.end());
    }
    seen.low.assign(data.begin(), data.begin() + static_cast<int64_t>(channels));
    seen.high = seen.low;
    for (size_t i = channels; i < data.size(); i += channels) {
      for (size_t c = 0; c < channels; ++c) {
        seen.low[c] = std::min(seen.low[c], data[i + c]);
        seen.high[c] = std::max(seen.high[c], data[i + c]);
      }
    }
    seen_[it->second].take(seen);
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
  int64_t row_bytes = 4;
  for (const ScalableValue& value : values) row_bytes += 4 * value.readers[0].channels();
  const int64_t rows = std::clamp(kMemory / row_bytes, kLeastRows, kRows);
  const int64_t chunks = source.chunk_count(), each = (rows + chunks - 1) / chunks;
  std::vector<std::vector<Seen>> parts(static_cast<size_t>(chunks));
  parallel_for(threads, chunks, [&](int64_t c, int) {
    Sampler sampler(positions, each);
    executor.run(source.chunk(c).feed, &sampler);
    parts[static_cast<size_t>(c)] = sampler.take();
  });
  std::vector<Seen> all = std::move(parts[0]);
  for (size_t c = 1; c < parts.size(); ++c)
    for (size_t v = 0; v < all.size(); ++v) all[v].take(parts[c][v]);
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

// Copies are alike, so that one stands for all.
DenseChannels edited(const DenseChannels& plain, const ChannelEdit& edit) {
  DenseChannels now = plain;
  const size_t channels = now.low.size();
  const auto shift = [&](size_t c) { return edit.shifts.empty() ? 0.f : edit.shifts[c]; };
  const auto factor = [&](size_t c) { return edit.factors.empty() ? 1.f : edit.factors[c]; };
  const std::vector<int64_t> times = times_there(edit, channels);
  for (size_t i = 0; i < now.rows.size(); ++i) {
    const size_t c = i % channels;
    now.rows[i] = (now.rows[i] - shift(c)) * factor(c);
  }
  for (size_t c = 0; c < channels; ++c) {
    now.low[c] = (now.low[c] - shift(c)) * factor(c);
    now.high[c] = (now.high[c] - shift(c)) * factor(c);
  }
  for (std::vector<float>& columns : now.columns) {
    const size_t outputs = columns.size() / channels;
    for (size_t i = 0; i < columns.size(); ++i) {
      const size_t c = i / outputs;
      columns[i] /= factor(c) * static_cast<float>(times[c]);
    }
  }
  return now;
}

// `more` behind `edit`.
ChannelEdit both(ChannelEdit edit, const ChannelEdit& more) {
  if (!more.shifts.empty()) edit.shifts.resize(more.shifts.size(), 0.f);
  for (size_t c = 0; c < more.shifts.size(); ++c)
    edit.shifts[c] += more.shifts[c] / (edit.factors.empty() ? 1.f : edit.factors[c]);
  if (!more.factors.empty()) edit.factors.resize(more.factors.size(), 1.f);
  for (size_t c = 0; c < more.factors.size(); ++c) edit.factors[c] *= more.factors[c];
  edit.copies.insert(edit.copies.end(), more.copies.begin(), more.copies.end());
  return edit;
}

void round_to(std::vector<float>& values, size_t first, size_t step, float scale) {
  if (!(scale > 0)) return;
  for (size_t i = first; i < values.size(); i += step)
    values[i] = std::nearbyint(values[i] / scale) * scale;
}

// Layers' errors with one value's edits.
class Measure {
 public:
  explicit Measure(const DenseChannels& plain) : plain_(plain) {
    for (const std::vector<float>& columns : plain.columns)
      want_.push_back(product(transposed(plain.rows), columns));
  }

  // What rounding inputs and weights in 8 bits leaves of the layers' outputs but for its means, which biases take
  // over, relative to their power; summed over the layers.
  double noise(const ChannelEdit& edit) const {
    const DenseChannels now = edited(plain_, edit);
    const size_t channels = now.low.size();
    const std::vector<int64_t> times = times_there(edit, channels);
    const float low = std::min(0.f, *std::ranges::min_element(now.low)),
                high = std::max(0.f, *std::ranges::max_element(now.high));
    std::vector<float> x = transposed(now.rows);
    round_to(x, 0, 1, (high - low) / static_cast<float>((1 << kBits) - 1));
    double sum = 0;
    for (size_t reader = 0; reader < now.columns.size(); ++reader) {
      std::vector<float> w = now.columns[reader];
      const size_t outputs = w.size() / channels;
      for (size_t o = 0; o < outputs; ++o) {
        float largest = 0;
        for (size_t i = o; i < w.size(); i += outputs) largest = std::max(largest, std::fabs(w[i]));
        round_to(w, o, outputs, largest / static_cast<float>((1 << (kBits - 1)) - 1));
      }
      for (size_t i = 0; i < w.size(); ++i) w[i] *= static_cast<float>(times[i / outputs]);
      sum += distance(want_[reader], product(x, w), outputs);
    }
    return sum;
  }

 private:
  // As [channels][rows], which products take.
  std::vector<float> transposed(const std::vector<float>& rows) const {
    const size_t channels = plain_.low.size(), count = rows.size() / channels;
    std::vector<float> columns(rows.size());
    for (size_t r = 0; r < count; ++r)
      for (size_t c = 0; c < channels; ++c) columns[c * count + r] = rows[r * channels + c];
    return columns;
  }

  // [rows][outputs]
  std::vector<float> product(const std::vector<float>& x, const std::vector<float>& w) const {
    const auto k = static_cast<int64_t>(plain_.low.size());
    const auto m = static_cast<int64_t>(x.size()) / k, n = static_cast<int64_t>(w.size()) / k;
    std::vector<float> y(static_cast<size_t>(m * n), 0.f);
    add_product(x.data(), m, w.data(), n, y.data(), n, m, n, k);
    return y;
  }

  static double distance(const std::vector<float>& want, const std::vector<float>& have,
                         size_t outputs) {
    const auto rows = static_cast<double>(want.size() / outputs);
    double off = 0, power = 0;
    for (size_t o = 0; o < outputs; ++o) {
      double sum = 0, squares = 0;
      for (size_t i = o; i < want.size(); i += outputs) {
        const double d = static_cast<double>(have[i]) - want[i];
        sum += d;
        squares += d * d;
        power += static_cast<double>(want[i]) * want[i];
      }
      off += squares - sum * sum / rows;
    }
    return power > 0 ? off / power : 0;
  }

  const DenseChannels& plain_;
  std::vector<std::vector<float>> want_;
};

EditedValue eased(const DenseChannels& plain, const std::vector<const OutlierMethod*>& methods) {
  const Measure measure(plain);
  EditedValue best;
  const double before = measure.noise(best.edit);
  double now = before;
  for (const OutlierMethod* method : methods) {
    const std::vector<ChannelEdit> proposals = method->propose(edited(plain, best.edit));
    const ChannelEdit start = best.edit;
    double least_gain = method->least_gain_db;
    for (const ChannelEdit& proposal : proposals) {
      const ChannelEdit edit = both(start, proposal);
      const double noise = measure.noise(edit);
      if (!(10 * std::log10(now / noise) >= least_gain)) continue;
      if (best.methods.empty() || best.methods.back() != method->name)
        best.methods.emplace_back(method->name);
      best.edit = edit;
      now = noise;
      least_gain = method->step_gain_db;
    }
  }
  best.gain_db = best.methods.empty() ? 0 : 10 * std::log10(before / now);
  return best;
}

}  // namespace

std::vector<EditedValue> ease_outliers(const Model& model, const std::vector<ScalableValue>& values,
                                       const SampleSource& source,
                                       const std::vector<const OutlierMethod*>& methods,
                                       int threads) {
  if (values.empty()) return {};
  std::vector<Seen> seen = sample(model, values, source, threads);
  std::vector<EditedValue> found(values.size());
  parallel_for(threads, static_cast<int64_t>(values.size()), [&](int64_t v, int) {
    const auto i = static_cast<size_t>(v);
    Seen& s = seen[i];
    if (static_cast<int64_t>(s.low.size()) != values[i].readers[0].channels()) return;
    DenseChannels channels{std::move(s.rows), std::move(s.low), std::move(s.high), {}};
    for (const ChannelReader& reader : values[i].readers)
      channels.columns.push_back(columns_of(reader));
    found[i] = eased(channels, methods);
    found[i].edit.value = values[i].name;
  });
  std::erase_if(found, [](const EditedValue& e) { return e.methods.empty(); });
  return found;
}

}  // namespace qtool
