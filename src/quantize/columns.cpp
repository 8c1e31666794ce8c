#include "quantize/columns.hpp"

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
void ColumnReader::read_patch(const float* image, const Window& w, int64_t position,
                              float* out) const {
  const size_t rank = kernel_.size();
  const int64_t plane = product(w.input), taps = product(kernel_);
  int64_t corner[3] = {}, rest = position;
  for (size_t d = rank; d-- > 0;) {
    corner[d] = rest % w.output[d] * w.strides[d] - w.pads_begin[d];
    rest /= w.output[d];
  }
  for (int64_t tap = 0; tap < taps; ++tap) {
    int64_t at[3] = {}, left = tap, offset = 0;
    bool inside = true;
    for (size_t d = rank; d-- > 0;) {
      at[d] = corner[d] + left % kernel_[d] * w.dilations[d];
      left /= kernel_[d];
      inside = inside && at[d] >= 0 && at[d] < w.input[d];
    }
    for (size_t d = 0; d < rank; ++d) offset = offset * w.input[d] + at[d];
    if (inside) {
      for (int64_t c = 0; c < channels_; ++c) *out++ = image[c * plane + offset];
    } else {
      out = std::fill_n(out, channels_, 0.f);
    }
  }
}

void ColumnReader::read(const Tensor& input, std::span<const int64_t> positions, int64_t group,
                        float* out) const {
  const float* x = input.data<float>().data();
  if (dense_) {
    for (int64_t p : positions) out = std::copy_n(x + p * columns_, columns_, out);
    return;
  }
  const Window w = window(input.shape());
  const int64_t plane = product(w.input), each = product(w.output), sample = input.dim(1) * plane;
  for (int64_t p : positions) {
    read_patch(x + p / each * sample + group * channels_ * plane, w, p % each, out);
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
