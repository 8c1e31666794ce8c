#include "quantize/fit/moments.hpp"

#include <algorithm>
#include <numeric>

#include "qtool/exec.hpp"

namespace qtool::qdq {
namespace {

// Columns held at once, of either network: 64 MiB.
constexpr int64_t kMostElements = int64_t{16} << 20;
constexpr int64_t kPanel = 96;  // rows of a Gram matrix that one task works on

std::vector<int64_t> drawn(int64_t available, int64_t wanted, uint64_t seed) {
  std::vector<int64_t> all(static_cast<size_t>(available));
  std::iota(all.begin(), all.end(), 0);
  if (wanted >= available) return all;
  Rng random(seed);
  for (int64_t i = 0; i < wanted; ++i) {
    const auto other = i + static_cast<int64_t>(random.below(static_cast<uint64_t>(available - i)));
    std::swap(all[static_cast<size_t>(i)], all[static_cast<size_t>(other)]);
  }
  all.resize(static_cast<size_t>(wanted));
  std::sort(all.begin(), all.end());
  return all;
}

// Column sums of one chunk's rows.
struct Sums {
  std::vector<double> quantized, shift;  // [groups][columns]
  std::vector<double> residual;          // [groups][channels of a group]
};

// sums[c] += every row's column c.
void add_rows(const float* rows, int64_t count, std::span<double> sums) {
  for (int64_t row = 0; row < count; ++row) {
    for (double& sum : sums) sum += *rows++;
  }
}

// What is collected beside the quantized network's columns.
struct Kinds {
  bool shift = false;     // what the float network's columns differ by
  bool residual = false;  // what the values added to the output differ by
  bool output = false;    // what the output differs by, as part of the residual
};

// Floats in memory that the next layer's take over, which need not be zeroed.
class Matrix {
 public:
  Matrix() = default;
  explicit Matrix(int64_t size)
      : storage_(Tensor::uninitialized(DType::kFloat, {size})),
        data_(storage_.mutable_data<float>().data()) {}
  float* data() const { return data_; }

 private:
  Tensor storage_;
  float* data_ = nullptr;
};

// The rows of some neighbouring groups, [group][position][column].
class Rows {
 public:
  Rows(const ColumnReader& reader, int64_t first, int64_t groups,
       const std::vector<std::vector<int64_t>>& positions, Kinds kinds,
       std::span<const float> weights)
      : reader_(reader),
        first_(first),
        groups_(groups),
        channels_(kinds.residual || kinds.output ? reader.channels_per_group() : 0),
        positions_(positions),
        kinds_(kinds),
        weights_(weights) {
    for (const auto& p : positions) {
      offsets_.push_back(count_);
      count_ += static_cast<int64_t>(p.size());
    }
    quantized_ = Matrix(groups * count_ * reader.columns());
    if (kinds.shift) shift_ = Matrix(groups * count_ * reader.columns());
    residual_ = Matrix(groups * count_ * channels_);
    sums_.resize(positions.size());
  }

  void read(int64_t chunk, const ReadLayerValue& value) {
    const auto i = static_cast<size_t>(chunk);
    const ChannelBlocks quantized = value(LayerValue::kQuantizedInput, chunk),
                        input = kinds_.shift ? value(LayerValue::kInput, chunk) : ChannelBlocks();
    const ColumnReader::Patches patches = reader_.patches(quantized.shape, positions_[i]);
    const Residuals residuals = residuals_of(chunk, value);
    const int64_t k = reader_.columns(), n = static_cast<int64_t>(positions_[i].size());
    Sums& sums = sums_[i];
    sums.quantized.assign(static_cast<size_t>(groups_ * k), 0);
    sums.shift = sums.quantized;
    sums.residual.assign(static_cast<size_t>(groups_ * channels_), 0);
    for (int64_t g = 0; g < groups_; ++g) {
      float* q = quantized_.data() + (g * count_ + offsets_[i]) * k;
      reader_.read(quantized, patches, first_ + g, q);
      add_rows(
          q, n,
          std::span(sums.quantized).subspan(static_cast<size_t>(g * k), static_cast<size_t>(k)));
      if (kinds_.shift) {
        float* s = shift_.data() + (g * count_ + offsets_[i]) * k;
        reader_.read(input, patches, first_ + g, s);
        for (int64_t e = 0; e < n * k; ++e) s[e] -= q[e];
        add_rows(s, n,
                 std::span(sums.shift).subspan(static_cast<size_t>(g * k), static_cast<size_t>(k)));
      }
      if (channels_ == 0) continue;
      float* r = residual_.data() + (g * count_ + offsets_[i]) * channels_;
      read_residual(residuals, positions_[i], first_ + g, r);
      if (kinds_.output)
        subtract_row_products(q, k, weights_.data() + (first_ + g) * channels_ * k, k, r, channels_,
                              n, channels_, k);
      add_rows(r, n,
               std::span(sums.residual)
                   .subspan(static_cast<size_t>(g * channels_), static_cast<size_t>(channels_)));
    }
  }

  void merge_sums() {
    for (size_t i = 1; i < sums_.size(); ++i) {
      for (size_t c = 0; c < sums_[0].shift.size(); ++c) {
        sums_[0].quantized[c] += sums_[i].quantized[c];
        sums_[0].shift[c] += sums_[i].shift[c];
      }
      for (size_t c = 0; c < sums_[0].residual.size(); ++c)
        sums_[0].residual[c] += sums_[i].residual[c];
    }
  }

  std::vector<float> mean(int64_t g) const {
    return means(sums_[0].quantized, g, reader_.columns());
  }

  // Takes the means off a group's rows: taken off the matrices, nothing would be left of a value that
  // hardly leaves its mean.
  void centre(int64_t g) {
    centre(quantized_, sums_[0].quantized, g, reader_.columns());
    if (kinds_.shift) centre(shift_, sums_[0].shift, g, reader_.columns());
    centre(residual_, sums_[0].residual, g, channels_);
  }

  // Rows [begin, end) of a group's square matrices, of h only what lies right of the diagonal block; and these
  // columns of what belongs to the output.
  void panel(int64_t g, int64_t begin, int64_t end, GroupMoments& moments) const {
    const int64_t k = reader_.columns(), width = end - begin;
    const float* q = quantized_.data() + g * count_ * k;
    float* h = moments.h.data() + begin * k + begin;
    const bool shifted = kinds_.shift;
    constexpr int64_t kBlock = 4096;  // positions summed in one product
    for (int64_t row = 0; row < count_; row += kBlock) {
      const int64_t n = std::min(kBlock, count_ - row);
      const float* left = q + row * k;
      add_product(left + begin, k, left + begin, k, h, k, width, k - begin, n);
      if (shifted) {
        const float* s = shift_.data() + (g * count_ + row) * k;
        add_product(s + begin, k, left, k, moments.shift.data() + begin * k, k, width, k, n);
      }
      if (channels_ > 0) {
        const float* r = residual_.data() + (g * count_ + row) * channels_;
        add_product(r, channels_, left + begin, k, moments.residual.data() + begin, k, channels_,
                    width, n);
      }
    }
    const float scale = 1.f / static_cast<float>(count_);
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = begin; c < k; ++c) moments.h[static_cast<size_t>(r * k + c)] *= scale;
      for (int64_t c = 0; c < k && shifted; ++c)
        moments.shift[static_cast<size_t>(r * k + c)] *= scale;
    }
    for (int64_t r = 0; r < channels_; ++r) {
      for (int64_t c = begin; c < end; ++c)
        moments.residual[static_cast<size_t>(r * k + c)] *= scale;
    }
  }

  int64_t count() const { return count_; }
  int64_t channels() const { return channels_; }  // of what belongs to the output

 private:
  struct Residuals {
    ChannelBlocks added, quantized_added, output;
  };
  Residuals residuals_of(int64_t chunk, const ReadLayerValue& value) const {
    Residuals r;
    if (kinds_.residual) {
      r.added = value(LayerValue::kResidual, chunk);
      r.quantized_added = value(LayerValue::kQuantizedResidual, chunk);
    }
    if (kinds_.output) r.output = value(LayerValue::kOutput, chunk);
    return r;
  }

  // What the values added to the output differ by, and the float network's output.
  void read_residual(const Residuals& values, std::span<const int64_t> positions, int64_t group,
                     float* r) const {
    std::vector<float> other(positions.size() * static_cast<size_t>(channels_));
    if (kinds_.residual) {
      reader_.read_output(values.added, positions, group, r);
      reader_.read_output(values.quantized_added, positions, group, other.data());
      for (size_t e = 0; e < other.size(); ++e) r[e] -= other[e];
    } else {
      std::fill_n(r, other.size(), 0.f);
    }
    if (!kinds_.output) return;
    reader_.read_output(values.output, positions, group, other.data());
    for (size_t e = 0; e < other.size(); ++e) r[e] += other[e];
  }

  std::vector<float> means(const std::vector<double>& sums, int64_t g, int64_t width) const {
    std::vector<float> mean;
    for (int64_t c = 0; c < width; ++c)
      mean.push_back(static_cast<float>(sums[static_cast<size_t>(g * width + c)] /
                                        static_cast<double>(count_)));
    return mean;
  }

  void centre(const Matrix& rows, const std::vector<double>& sums, int64_t g, int64_t width) {
    const std::vector<float> mean = means(sums, g, width);
    float* row = rows.data() + g * count_ * width;
    for (int64_t n = 0; n < count_; ++n) {
      for (const float m : mean) *row++ -= m;
    }
  }

  const ColumnReader& reader_;
  int64_t first_, groups_, channels_;
  const std::vector<std::vector<int64_t>>& positions_;
  Kinds kinds_;
  std::span<const float> weights_;
  std::vector<int64_t> offsets_;
  int64_t count_ = 0;
  Matrix quantized_, shift_, residual_;
  std::vector<Sums> sums_;
};

bool are_few(int64_t positions, int64_t columns) { return positions < 32 * columns; }

// Off-diagonal entries of few positions are noise: shrunk by K / (K + M).
void shrink(GroupMoments& moments, int64_t k, int64_t positions) {
  if (!are_few(positions, k)) return;
  const float keep = static_cast<float>(positions) / static_cast<float>(k + positions);
  for (int64_t r = 0; r < k; ++r) {
    for (int64_t c = 0; c < k; ++c) {
      if (r != c) {
        moments.h[static_cast<size_t>(r * k + c)] *= keep;
        if (!moments.shift.empty()) moments.shift[static_cast<size_t>(r * k + c)] *= keep;
      }
    }
  }
  for (float& r : moments.residual) r *= keep;
}

void mirror(std::vector<float>& h, int64_t k) {
  for (int64_t r = 0; r < k; ++r) {
    for (int64_t c = 0; c < r; ++c)
      h[static_cast<size_t>(r * k + c)] = h[static_cast<size_t>(c * k + r)];
  }
}

}  // namespace

InputMoments input_moments(const ColumnReader& reader, int64_t chunks, const ReadLayerValue& read,
                           const MomentOptions& options) {
  const int64_t k = reader.columns();
  const int64_t most = reader.groups() > 1 ? options.grouped_positions : options.positions;
  const int64_t wanted = std::min(most, std::max<int64_t>(kMostElements / k, 1));
  std::vector<std::vector<int64_t>> positions(static_cast<size_t>(chunks));
  parallel_for(options.threads, chunks, [&](int64_t c, int) {
    const int64_t share = (wanted * (c + 1)) / chunks - (wanted * c) / chunks;
    positions[static_cast<size_t>(c)] =
        drawn(reader.positions(read(LayerValue::kQuantizedInput, c).shape), share,
              options.seed * 1000003 + static_cast<uint64_t>(c));
  });
  int64_t count = 0;
  for (const auto& p : positions) count += static_cast<int64_t>(p.size());
  Kinds kinds;
  // Of fewer positions than columns the shift is mostly noise, and left out.
  kinds.shift = count >= k && read(LayerValue::kInput, 0).defined();
  kinds.residual = count >= k && read(LayerValue::kResidual, 0).defined();
  // Two products of outputs rather than one of columns. The diagonal of a shift that is shrunk has to be known,
  // and a constant that the layer adds has to go with the means.
  if (kinds.shift && options.centred && !options.rows.empty() && !are_few(count, k) &&
      2 * reader.channels_per_group() < k) {
    kinds.shift = false;
    kinds.output = true;
  }
  InputMoments result;
  result.columns = k;
  result.groups.resize(static_cast<size_t>(reader.groups()));
  const int64_t batch = std::clamp<int64_t>(kMostElements / (wanted * k), 1, reader.groups());
  for (int64_t first = 0; first < reader.groups(); first += batch) {
    const int64_t groups = std::min(batch, reader.groups() - first);
    Rows rows(reader, first, groups, positions, kinds, options.rows);
    parallel_for(options.threads, chunks, [&](int64_t c, int) { rows.read(c, read); });
    rows.merge_sums();
    if (options.centred)
      parallel_for(options.threads, groups, [&](int64_t g, int) { rows.centre(g); });
    result.positions = rows.count();
    const int64_t panels = (k + kPanel - 1) / kPanel;
    for (int64_t g = 0; g < groups; ++g) {
      GroupMoments& m = result.groups[static_cast<size_t>(first + g)];
      m.h.assign(static_cast<size_t>(k * k), 0.f);
      if (kinds.shift) m.shift.assign(static_cast<size_t>(k * k), 0.f);
      m.residual.assign(static_cast<size_t>(rows.channels() * k), 0.f);
      m.mean = rows.mean(g);
    }
    parallel_for(options.threads, groups * panels, [&](int64_t task, int) {
      const int64_t g = task / panels, begin = task % panels * kPanel;
      rows.panel(g, begin, std::min(k, begin + kPanel),
                 result.groups[static_cast<size_t>(first + g)]);
    });
  }
  parallel_for(options.threads, reader.groups(), [&](int64_t g, int) {
    GroupMoments& m = result.groups[static_cast<size_t>(g)];
    mirror(m.h, k);
    shrink(m, k, result.positions);
  });
  return result;
}

}  // namespace qtool::qdq
