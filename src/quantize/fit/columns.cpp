#include "quantize/fit/columns.hpp"

#include <algorithm>

namespace qtool::qdq {
namespace {

int64_t product(std::span<const int64_t> sizes) {
  int64_t n = 1;
  for (int64_t s : sizes) n *= s;
  return n;
}

// Positions read together, channel by channel: those of one channel lie near each other, its channels far apart.
constexpr int64_t kTile = 32;

// Channels [first, first + count) of elements that lie at `from` in their planes (nullptr: zeros), into rows of
// `stride` elements.
void copy_channels(std::span<const float* const> from, int64_t block, int64_t plane, int64_t first,
                   int64_t count, float* out, int64_t stride) {
  for (int64_t c = 0; c < count;) {
    const int64_t channel = first + c, run = std::min(block - channel % block, count - c),
                  offset = channel / block * plane * block + channel % block;
    float* to = out + c;
    for (const float* at : from) {
      if (at)
        std::copy_n(at + offset, run, to);
      else
        std::fill_n(to, run, 0.f);
      to += stride;
    }
    c += run;
  }
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

ColumnReader::Patches ColumnReader::patches(const Shape& input,
                                            std::span<const int64_t> positions) const {
  Patches patches;
  if (dense_) {
    for (const int64_t p : positions) patches.at_.push_back({p, 0, true});
    return patches;
  }
  const Window w = window(input);
  const size_t rank = kernel_.size();
  const int64_t taps = product(kernel_), each = product(w.output);
  patches.plane_ = product(w.input);
  std::vector<int64_t> steps;  // [tap][dimension]
  for (int64_t tap = 0; tap < taps; ++tap) {
    steps.resize(steps.size() + rank);
    int64_t* step = steps.data() + static_cast<size_t>(tap) * rank;
    int64_t left = tap, offset = 0;
    for (size_t d = rank; d-- > 0; left /= kernel_[d]) step[d] = left % kernel_[d] * w.dilations[d];
    for (size_t d = 0; d < rank; ++d) offset = offset * w.input[d] + step[d];
    patches.offsets_.push_back(offset);
  }
  for (const int64_t p : positions) {
    int64_t corner[3] = {}, rest = p % each;
    Patches::Patch patch{p / each, 0, true};
    for (size_t d = rank; d-- > 0; rest /= w.output[d]) {
      corner[d] = rest % w.output[d] * w.strides[d] - w.pads_begin[d];
      patch.inside = patch.inside && corner[d] >= 0 &&
                     corner[d] + (kernel_[d] - 1) * w.dilations[d] < w.input[d];
    }
    for (size_t d = 0; d < rank; ++d) patch.base = patch.base * w.input[d] + corner[d];
    patches.at_.push_back(patch);
    if (patch.inside && patches.padding_.empty()) continue;
    patches.padding_.resize(patches.at_.size() * static_cast<size_t>(taps));
    for (size_t tap = 0; tap < static_cast<size_t>(taps); ++tap) {
      bool padding = false;
      for (size_t d = 0; d < rank; ++d) {
        const int64_t at = corner[d] + steps[tap * rank + d];
        padding = padding || at < 0 || at >= w.input[d];
      }
      patches.padding_[(patches.at_.size() - 1) * static_cast<size_t>(taps) + tap] = padding;
    }
  }
  return patches;
}

void ColumnReader::read(const ChannelBlocks& input, const Patches& patches, int64_t group,
                        float* out) const {
  if (dense_) {
    for (const auto& at : patches.at_)
      out = std::copy_n(input.data + at.sample * columns_, columns_, out);
    return;
  }
  const int64_t sample = input.shape[1] * patches.plane_;
  const size_t taps = patches.offsets_.size();
  if (channels_ == 1) {
    const float* plane =
        input.data + group / input.block * patches.plane_ * input.block + group % input.block;
    for (size_t p = 0; p < patches.at_.size(); ++p, out += taps) {
      const auto& at = patches.at_[p];
      const int64_t from = at.sample * sample + at.base * input.block;
      for (size_t tap = 0; tap < taps; ++tap)
        out[tap] = at.inside || !patches.padding_[p * taps + tap]
                       ? plane[from + patches.offsets_[tap] * input.block]
                       : 0.f;
    }
    return;
  }
  const float* from[kTile];
  for (int64_t first = 0; first < patches.count(); first += kTile, out += kTile * columns_) {
    const int64_t count = std::min(kTile, patches.count() - first);
    for (size_t tap = 0; tap < taps; ++tap) {
      for (int64_t i = 0; i < count; ++i) {
        const auto p = static_cast<size_t>(first + i);
        const auto& at = patches.at_[p];
        from[i] =
            at.inside || !patches.padding_[p * taps + tap]
                ? input.data + at.sample * sample + (at.base + patches.offsets_[tap]) * input.block
                : nullptr;
      }
      copy_channels(std::span(from, static_cast<size_t>(count)), input.block, patches.plane_,
                    group * channels_, channels_, out + static_cast<int64_t>(tap) * channels_,
                    columns_);
    }
  }
}

void ColumnReader::read_output(const ChannelBlocks& output, std::span<const int64_t> positions,
                               int64_t group, float* out) const {
  if (dense_) {
    for (int64_t p : positions) out = std::copy_n(output.data + p * outputs_, outputs_, out);
    return;
  }
  const int64_t sample = element_count(output.shape) / output.shape[0],
                plane = sample / output.shape[1];
  const float* from[kTile];
  for (size_t first = 0; first < positions.size(); first += kTile, out += kTile * outputs_) {
    const size_t count = std::min<size_t>(kTile, positions.size() - first);
    for (size_t i = 0; i < count; ++i) {
      const int64_t p = positions[first + i];
      from[i] = output.data + p / plane * sample + p % plane * output.block;
    }
    copy_channels(std::span(from, count), output.block, plane, group * outputs_, outputs_, out,
                  outputs_);
  }
}

}  // namespace qtool::qdq
