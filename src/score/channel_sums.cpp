#include "score/channel_sums.hpp"

#include <algorithm>
#include <cstring>

#include "base/clones.hpp"

namespace qtool::fisher {
namespace {

typedef float Float4 __attribute__((vector_size(16)));
typedef double Double4 __attribute__((vector_size(32)));

inline void load(const float* x, Double4& out) {
  Float4 v;
  std::memcpy(&v, x, sizeof v);
  out = __builtin_convertvector(v, Double4);
}

QTOOL_AVX2_CLONES double total(const float* a, int64_t n) {
  Double4 part = {}, other = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    Double4 x, y;
    load(a + i, x);
    load(a + i + 4, y);
    part += x;
    other += y;
  }
  part += other;
  for (; i < n; ++i) part[0] += a[i];
  return part[0] + part[1] + (part[2] + part[3]);
}

QTOOL_AVX2_CLONES double dot(const float* a, const float* b, int64_t n) {
  Double4 part = {}, other = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    Double4 x, y, u, v;
    load(a + i, x);
    load(b + i, y);
    load(a + i + 4, u);
    load(b + i + 4, v);
    part += x * y;
    other += u * v;
  }
  part += other;
  for (; i < n; ++i) part[0] += double{a[i]} * b[i];
  return part[0] + part[1] + (part[2] + part[3]);
}

QTOOL_AVX2_CLONES void add_row(const float* a, int64_t n, double* to) {
  for (int64_t i = 0; i < n; ++i) to[i] += a[i];
}

typedef float Float8 __attribute__((vector_size(32)));

// Lanes of float32 over so many products, then double.
constexpr int64_t kRun = 256;

inline void load(const float* x, Float8& out) { std::memcpy(&out, x, sizeof out); }

inline double total(const Float8& v) {
  return (double{v[0]} + v[1]) + (double{v[2]} + v[3]) +
         ((double{v[4]} + v[5]) + (double{v[6]} + v[7]));
}

// Σ a · others[j] from `at` on, added to sums[j · stride].
QTOOL_AVX2_CLONES void add_products(const float* a, std::span<const float* const> others,
                                    int64_t at, int64_t n, double* sums, int64_t stride) {
  for (size_t j = 0; j < others.size(); ++j) {
    const float* b = others[j] + at;
    double sum = 0;
    int64_t i = 0;
    while (i + 8 <= n) {
      Float8 part = {}, other = {}, x, y;
      const int64_t end = std::min(n, i + kRun);
      for (; i + 16 <= end; i += 16) {
        load(a + i, x);
        load(b + i, y);
        part += x * y;
        load(a + i + 8, x);
        load(b + i + 8, y);
        other += x * y;
      }
      if (i + 8 <= end) {
        load(a + i, x);
        load(b + i, y);
        part += x * y;
        i += 8;
      }
      sum += total(part + other);
    }
    for (; i < n; ++i) sum += double{a[i]} * b[i];
    sums[static_cast<int64_t>(j) * stride] += sum;
  }
}

// Σ over `rows` of a[row][channel] · b[row][channel] for all channels of a tile, added to sums[channel].
constexpr int64_t kTile = 16;
QTOOL_AVX2_CLONES void add_tile(const float* a, const float* b, int64_t rows, int64_t step,
                                int64_t channels, double* sums) {
  float part[kTile] = {};
  if (channels == kTile) {
    Float8 low = {}, high = {}, x, y;
    for (int64_t r = 0; r < rows; ++r) {
      load(a + r * step, x);
      load(b + r * step, y);
      low += x * y;
      load(a + r * step + 8, x);
      load(b + r * step + 8, y);
      high += x * y;
    }
    std::memcpy(part, &low, sizeof low);
    std::memcpy(part + 8, &high, sizeof high);
  } else {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < channels; ++c) part[c] += a[r * step + c] * b[r * step + c];
  }
  for (int64_t c = 0; c < channels; ++c) sums[c] += part[c];
}

// `row` adds one position of all channels, `run` all positions of one channel.
template <typename Row, typename Run>
std::vector<double> sums_of(const ChannelView& v, Row row, Run run) {
  std::vector<double> sums(static_cast<size_t>(v.samples * v.channels), 0);
  int64_t at = 0;
  for (int64_t block = 0; block < v.samples * v.blocks; ++block) {
    double* to = sums.data() + block / v.blocks * v.channels;
    if (v.positions == 1) {
      row(at, to);
      at += v.channels;
      continue;
    }
    for (int64_t c = 0; c < v.channels; ++c, at += v.positions) to[c] += run(at);
  }
  return sums;
}

}  // namespace

ChannelView::ChannelView(const Tensor& t, int64_t samples_in_batch, bool channels_last) {
  const int64_t axis = channels_last ? t.rank() - 1 : std::min<int64_t>(1, t.rank() - 1);
  channels = t.dim(axis);
  for (int64_t d = axis + 1; d < t.rank(); ++d) positions *= t.dim(d);
  int64_t rows = 1;
  for (int64_t d = 0; d < axis; ++d) rows *= t.dim(d);
  if (samples_in_batch > 0 && rows % samples_in_batch == 0) samples = samples_in_batch;
  blocks = rows / samples;
}

std::vector<double> ChannelView::sum(const float* a) const {
  return sums_of(
      *this, [&](int64_t at, double* to) { add_row(a + at, channels, to); },
      [&](int64_t at) { return total(a + at, positions); });
}

std::vector<std::vector<double>> products(const WeightView& v,
                                          std::span<const WeightChange> changes,
                                          std::span<const float* const> others) {
  const int64_t each = v.parts * v.channels;
  std::vector<std::vector<double>> sums(changes.size());
  for (size_t k = 0; k < changes.size(); ++k)
    if (changes[k].defined()) sums[k].assign(others.size() * static_cast<size_t>(each), 0.0);
  const bool in_runs = v.inner > 1 || v.outer == 1;
  constexpr int64_t kRows = 64;
  std::vector<float> buffer(static_cast<size_t>(in_runs ? v.inner : kRows * v.channels));
  for (int64_t o = 0; in_runs && o < v.parts * v.outer; ++o) {
    for (int64_t c = 0; c < v.channels; ++c) {
      const int64_t at = (o * v.channels + c) * v.inner;
      for (size_t k = 0; k < changes.size(); ++k)
        if (changes[k].defined())
          add_products(changes[k].read(at, v.inner, buffer.data()), others, at, v.inner,
                       &sums[k][static_cast<size_t>(o / v.outer * v.channels + c)], each);
    }
  }
  for (int64_t o = 0; !in_runs && o < v.parts * v.outer;) {
    const int64_t part = o / v.outer, rows = std::min(kRows, (part + 1) * v.outer - o);
    for (size_t k = 0; k < changes.size(); ++k) {
      if (!changes[k].defined()) continue;
      const float* a = changes[k].read(o * v.channels, rows * v.channels, buffer.data());
      for (int64_t c = 0; c < v.channels; c += kTile)
        for (size_t j = 0; j < others.size(); ++j)
          add_tile(
              a + c, others[j] + o * v.channels + c, rows, v.channels,
              std::min(kTile, v.channels - c),
              &sums[k][j * static_cast<size_t>(each) + static_cast<size_t>(part * v.channels + c)]);
    }
    o += rows;
  }
  return sums;
}

double sum_of_squares(const Tensor& t) {
  const auto v = t.data<float>();
  return dot(v.data(), v.data(), t.size());
}

void add_to(std::vector<double>& to, const std::vector<double>& more, double weight) {
  to.resize(std::max(to.size(), more.size()), 0.0);
  for (size_t i = 0; i < more.size(); ++i) to[i] += weight * more[i];
}

}  // namespace qtool::fisher
