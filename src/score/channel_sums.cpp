#include "score/channel_sums.hpp"

#include <algorithm>
#include <cstring>

// Both compilations give the same bits: partial sums are lanes.
#define QTOOL_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))

namespace qtool::fisher {
namespace {

typedef float Float4 __attribute__((vector_size(16)));
typedef double Double4 __attribute__((vector_size(32)));

inline void load(const float* x, Double4& out) {
  Float4 v;
  std::memcpy(&v, x, sizeof v);
  out = __builtin_convertvector(v, Double4);
}

QTOOL_CLONES double total(const float* a, int64_t n) {
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

QTOOL_CLONES double dot(const float* a, const float* b, int64_t n) {
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

QTOOL_CLONES void add_row(const float* a, int64_t n, double* to) {
  for (int64_t i = 0; i < n; ++i) to[i] += a[i];
}

QTOOL_CLONES void add_row(const float* a, const float* b, int64_t n, double* to) {
  for (int64_t i = 0; i < n; ++i) to[i] += double{a[i]} * b[i];
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

std::vector<double> ChannelView::sum(const float* a, const float* b) const {
  return sums_of(
      *this, [&](int64_t at, double* to) { add_row(a + at, b + at, channels, to); },
      [&](int64_t at) { return dot(a + at, b + at, positions); });
}

double sum_of_squares(const Tensor& t) {
  const auto v = t.data<float>();
  return dot(v.data(), v.data(), t.size());
}

}  // namespace qtool::fisher
