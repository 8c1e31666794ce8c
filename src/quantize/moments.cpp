#include "quantize/moments.hpp"

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

// The rows of some neighbouring groups, [group][position][column]: the quantized network's columns,
// what the float network's differ by, and what the values added to the output differ by.
class Rows {
 public:
  Rows(const ColumnReader& reader, int64_t first, int64_t groups,
       const std::vector<std::vector<int64_t>>& positions, bool shifted, bool residual)
      : reader_(reader),
        first_(first),
        groups_(groups),
        channels_(residual ? reader.channels_per_group() : 0),
        positions_(positions) {
    for (const auto& p : positions) {
      offsets_.push_back(count_);
      count_ += static_cast<int64_t>(p.size());
    }
    const auto n = static_cast<size_t>(groups * count_);
    quantized_.resize(n * static_cast<size_t>(reader.columns()));
    if (shifted) shift_.resize(quantized_.size());
    residual_.resize(n * static_cast<size_t>(channels_));
    sums_.resize(positions.size());
  }

  void read(int64_t chunk, const LayerValues& values) {
    const auto i = static_cast<size_t>(chunk);
    const int64_t k = reader_.columns(), n = static_cast<int64_t>(positions_[i].size());
    Sums& sums = sums_[i];
    sums.quantized.assign(static_cast<size_t>(groups_ * k), 0);
    sums.shift = sums.quantized;
    sums.residual.assign(static_cast<size_t>(groups_ * channels_), 0);
    std::vector<float> other(static_cast<size_t>(n * channels_));
    for (int64_t g = 0; g < groups_; ++g) {
      float* q = quantized_.data() + (g * count_ + offsets_[i]) * k;
      reader_.read(values.quantized_input, positions_[i], first_ + g, q);
      add_rows(
          q, n,
          std::span(sums.quantized).subspan(static_cast<size_t>(g * k), static_cast<size_t>(k)));
      if (!shift_.empty()) {
        float* s = shift_.data() + (g * count_ + offsets_[i]) * k;
        reader_.read(values.input, positions_[i], first_ + g, s);
        for (int64_t e = 0; e < n * k; ++e) s[e] -= q[e];
        add_rows(s, n,
                 std::span(sums.shift).subspan(static_cast<size_t>(g * k), static_cast<size_t>(k)));
      }
      if (channels_ == 0) continue;
      float* r = residual_.data() + (g * count_ + offsets_[i]) * channels_;
      reader_.read_output(values.residual, positions_[i], first_ + g, r);
      reader_.read_output(values.quantized_residual, positions_[i], first_ + g, other.data());
      for (size_t e = 0; e < other.size(); ++e) r[e] -= other[e];
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
    if (!shift_.empty()) centre(shift_, sums_[0].shift, g, reader_.columns());
    centre(residual_, sums_[0].residual, g, channels_);
  }

  // Rows [begin, end) of a group's two matrices; of h only what lies right of the diagonal block.
  void panel(int64_t g, int64_t begin, int64_t end, GroupMoments& moments) const {
    const int64_t k = reader_.columns(), height = end - begin;
    const float* q = quantized_.data() + g * count_ * k;
    float* h = moments.h.data() + begin * k + begin;
    const bool shifted = !shift_.empty();
    constexpr int64_t kBlock = 4096;  // positions summed in one product
    for (int64_t row = 0; row < count_; row += kBlock) {
      const int64_t n = std::min(kBlock, count_ - row);
      const float* left = q + row * k;
      add_product(left + begin, k, left + begin, k, h, k, height, k - begin, n);
      if (!shifted) continue;
      const float* s = shift_.data() + (g * count_ + row) * k;
      add_product(s + begin, k, left, k, moments.shift.data() + begin * k, k, height, k, n);
    }
    const float scale = 1.f / static_cast<float>(count_);
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = begin; c < k; ++c) moments.h[static_cast<size_t>(r * k + c)] *= scale;
      for (int64_t c = 0; c < k && shifted; ++c)
        moments.shift[static_cast<size_t>(r * k + c)] *= scale;
    }
  }

  // A group's matrix of what is added to the output.
  void residual(int64_t g, GroupMoments& moments) const {
    const int64_t k = reader_.columns();
    moments.residual.assign(static_cast<size_t>(channels_ * k), 0.f);
    if (channels_ == 0) return;
    add_product(residual_.data() + g * count_ * channels_, channels_,
                quantized_.data() + g * count_ * k, k, moments.residual.data(), k, channels_, k,
                count_);
    for (float& r : moments.residual) r /= static_cast<float>(count_);
  }

  int64_t count() const { return count_; }

 private:
  std::vector<float> means(const std::vector<double>& sums, int64_t g, int64_t width) const {
    std::vector<float> mean;
    for (int64_t c = 0; c < width; ++c)
      mean.push_back(static_cast<float>(sums[static_cast<size_t>(g * width + c)] /
                                        static_cast<double>(count_)));
    return mean;
  }

  void centre(std::vector<float>& rows, const std::vector<double>& sums, int64_t g, int64_t width) {
    const std::vector<float> mean = means(sums, g, width);
    float* row = rows.data() + g * count_ * width;
    for (int64_t n = 0; n < count_; ++n) {
      for (const float m : mean) *row++ -= m;
    }
  }

  const ColumnReader& reader_;
  int64_t first_, groups_, channels_;
  const std::vector<std::vector<int64_t>>& positions_;
  std::vector<int64_t> offsets_;
  int64_t count_ = 0;
  std::vector<float> quantized_, shift_, residual_;
  std::vector<Sums> sums_;
};

// Off-diagonal entries of few positions are noise: shrunk by K / (K + M).
void shrink(GroupMoments& moments, int64_t k, int64_t positions) {
  if (positions >= 32 * k) return;
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

InputMoments input_moments(const ColumnReader& reader, int64_t chunks,
                           const std::function<LayerValues(int64_t chunk)>& values,
                           const MomentOptions& options) {
  const int64_t k = reader.columns();
  const int64_t most = reader.groups() > 1 ? options.grouped_positions : options.positions;
  const int64_t wanted = std::min(most, std::max<int64_t>(kMostElements / k, 1));
  std::vector<std::vector<int64_t>> positions(static_cast<size_t>(chunks));
  parallel_for(options.threads, chunks, [&](int64_t c, int) {
    const int64_t share = (wanted * (c + 1)) / chunks - (wanted * c) / chunks;
    positions[static_cast<size_t>(c)] = drawn(reader.positions(values(c).input.shape()), share,
                                              options.seed * 1000003 + static_cast<uint64_t>(c));
  });
  const LayerValues first_values = values(0);
  int64_t drawn_positions = 0;
  for (const auto& p : positions) drawn_positions += static_cast<int64_t>(p.size());
  // Of fewer positions than columns the shift is mostly noise, and left out.
  const bool enough = drawn_positions >= k, residual = enough && first_values.residual.defined(),
             shifted =
                 enough && !first_values.input.shares_bytes_with(first_values.quantized_input);
  InputMoments result;
  result.columns = k;
  result.groups.resize(static_cast<size_t>(reader.groups()));
  const int64_t batch = std::clamp<int64_t>(kMostElements / (wanted * k), 1, reader.groups());
  for (int64_t first = 0; first < reader.groups(); first += batch) {
    const int64_t groups = std::min(batch, reader.groups() - first);
    Rows rows(reader, first, groups, positions, shifted, residual);
    parallel_for(options.threads, chunks, [&](int64_t c, int) { rows.read(c, values(c)); });
    rows.merge_sums();
    if (options.centred)
      parallel_for(options.threads, groups, [&](int64_t g, int) { rows.centre(g); });
    result.positions = rows.count();
    const int64_t panels = (k + kPanel - 1) / kPanel;
    for (int64_t g = 0; g < groups; ++g) {
      GroupMoments& m = result.groups[static_cast<size_t>(first + g)];
      m.h.assign(static_cast<size_t>(k * k), 0.f);
      if (shifted) m.shift.assign(static_cast<size_t>(k * k), 0.f);
      m.mean = rows.mean(g);
    }
    parallel_for(options.threads, groups * panels, [&](int64_t task, int) {
      const int64_t g = task / panels, begin = task % panels * kPanel;
      rows.panel(g, begin, std::min(k, begin + kPanel),
                 result.groups[static_cast<size_t>(first + g)]);
    });
    parallel_for(options.threads, groups, [&](int64_t g, int) {
      rows.residual(g, result.groups[static_cast<size_t>(first + g)]);
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
