#include "quantize/fit/columns.hpp"

#include <algorithm>

namespace qtool::qdq {
namespace {

int64_t product(std::span<const int64_t> sizes) {
  int64_t n = 1;
  for (int64_t s : sizes) n *= s;
  return n;
}

}  // namespace

ColumnReader::ColumnReader(const Node& node, const LayerSite& site, const Tensor& weight)
    : node_(&node), dense_(site.dense) {
  columns_ = weight.size() / site.channels;
  outputs_ = site.channels;
  if (dense_) return;
  groups_ = attr_int(node, "group", 1);
  channels_ = weight.dim(1);
  outputs_ /= groups_;
  kernel_.assign(weight.shape().begin() + 2, weight.shape().end());
}

Window ColumnReader::window(const Shape& input) const {
  return resolve_window(*node_, input, kernel_);
}

int64_t ColumnReader::positions(const Shape& input) const {
  if (dense_) return input.back() > 0 ? element_count(input) / input.back() : 0;
  return input[0] * product(window(input).output);
}

// One position's patch; `image` is the first channel of the group, [channels][spatial…].
void ColumnReader::read_patch(const float* image, const Taps& taps, int64_t position,
                              float* out) const {
  const Window& w = taps.window;
  const size_t rank = kernel_.size();
  int64_t corner[3] = {}, base = 0, rest = position;
  bool inside = true;
  for (size_t d = rank; d-- > 0;) {
    corner[d] = rest % w.output[d] * w.strides[d] - w.pads_begin[d];
    inside = inside && corner[d] >= 0 && corner[d] + taps.reach[d] < w.input[d];
    rest /= w.output[d];
  }
  for (size_t d = 0; d < rank; ++d) base = base * w.input[d] + corner[d];
  for (size_t tap = 0; tap < taps.offset.size(); ++tap) {
    bool padding = false;
    for (size_t d = 0; d < rank && !inside; ++d) {
      const int64_t at = corner[d] + taps.at[tap * rank + d];
      padding = padding || at < 0 || at >= w.input[d];
    }
    if (padding) {
      out = std::fill_n(out, channels_, 0.f);
      continue;
    }
    const float* from = image + base + taps.offset[tap];
    for (int64_t c = 0; c < channels_; ++c, from += taps.plane) *out++ = *from;
  }
}

ColumnReader::Taps ColumnReader::taps(const Shape& input) const {
  Taps taps{.window = window(input)};
  const Window& w = taps.window;
  const size_t rank = kernel_.size();
  taps.plane = product(w.input);
  for (size_t d = 0; d < rank; ++d) taps.reach.push_back((kernel_[d] - 1) * w.dilations[d]);
  for (int64_t tap = 0, count = product(kernel_); tap < count; ++tap) {
    taps.at.resize(taps.at.size() + rank);
    int64_t* at = taps.at.data() + static_cast<size_t>(tap) * rank;
    int64_t left = tap, offset = 0;
    for (size_t d = rank; d-- > 0;) {
      at[d] = left % kernel_[d] * w.dilations[d];
      left /= kernel_[d];
    }
    for (size_t d = 0; d < rank; ++d) offset = offset * w.input[d] + at[d];
    taps.offset.push_back(offset);
  }
  return taps;
}

void ColumnReader::read(const Tensor& input, std::span<const int64_t> positions, int64_t group,
                        float* out) const {
  const float* x = input.data<float>().data();
  if (dense_) {
    for (int64_t p : positions) out = std::copy_n(x + p * columns_, columns_, out);
    return;
  }
  const Taps at = taps(input.shape());
  const int64_t each = product(at.window.output), sample = input.dim(1) * at.plane;
  for (int64_t p : positions) {
    read_patch(x + p / each * sample + group * channels_ * at.plane, at, p % each, out);
    out += columns_;
  }
}

void ColumnReader::read_output(const Tensor& output, std::span<const int64_t> positions,
                               int64_t group, float* out) const {
  const float* y = output.data<float>().data();
  if (dense_) {
    for (int64_t p : positions) out = std::copy_n(y + p * outputs_, outputs_, out);
    return;
  }
  const int64_t sample = output.size() / output.dim(0), each = sample / output.dim(1);
  for (int64_t p : positions) {
    const float* at = y + p / each * sample + group * outputs_ * each + p % each;
    for (int64_t c = 0; c < outputs_; ++c) *out++ = at[c * each];
  }
}

}  // namespace qtool::qdq
