#include "score/weight_change.hpp"

#include <algorithm>

#include "base/clones.hpp"

namespace qtool::fisher {
namespace {

QTOOL_AVX2_CLONES void subtract(const int8_t* codes, float scale, const float* weight, int64_t n,
                                float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(codes[i]) * scale - weight[i];
}

QTOOL_AVX2_CLONES void subtract(const int8_t* codes, const float* scales, const float* weight,
                                int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(codes[i]) * scales[i] - weight[i];
}

}  // namespace

WeightChange::WeightChange(const WeightCodes& codes, const Tensor& weight, int64_t channel_axis) {
  const Shape& shape = weight.shape();
  channels_ = shape[static_cast<size_t>(channel_axis)];
  for (size_t d = static_cast<size_t>(channel_axis) + 1; d < shape.size(); ++d) inner_ *= shape[d];
  if (codes.codes.dtype() == DType::kInt8 && std::ssize(codes.scales) == channels_) {
    codes_ = &codes;
    weight_ = weight.data<float>().data();
    return;
  }
  whole_ = dequantized(codes, channel_axis);
  auto values = whole_.mutable_data<float>();
  const auto wanted = weight.data<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] -= wanted[i];
}

const float* WeightChange::read(int64_t begin, int64_t n, float* buffer) const {
  if (whole_.defined()) return whole_.data<float>().data() + begin;
  const int8_t* codes = codes_->codes.data<int8_t>().data() + begin;
  const float *scales = codes_->scales.data(), *weight = weight_ + begin;
  for (int64_t i = 0; i < n;) {
    const int64_t at = begin + i, channel = at / inner_ % channels_;
    if (inner_ == 1) {
      const int64_t run = std::min(channels_ - channel, n - i);
      subtract(codes + i, scales + channel, weight + i, run, buffer + i);
      i += run;
      continue;
    }
    const int64_t run = std::min(inner_ - at % inner_, n - i);
    subtract(codes + i, scales[channel], weight + i, run, buffer + i);
    i += run;
  }
  return buffer;
}

}  // namespace qtool::fisher
