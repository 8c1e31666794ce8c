// Weight codes as the tensors of a DequantizeLinear.
#include <algorithm>

#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

bool one_scale(const WeightCodes& weight) {
  return weight.block == kTensorScale &&
         std::all_of(weight.scales.begin(), weight.scales.end(),
                     [&](float s) { return s == weight.scales[0]; });
}

// [rows][blocks] as ONNX has them: blocks along the reduction axis of a matrix.
Tensor block_scales(const WeightCodes& weight, const LayerSite& site) {
  const auto blocks = static_cast<int64_t>(weight.scales.size()) / site.channels;
  if (site.channel_axis == 0) return Tensor::of<float>({site.channels, blocks}, weight.scales);
  Tensor scale = Tensor::uninitialized(DType::kFloat, {blocks, site.channels});
  auto out = scale.mutable_data<float>();
  for (int64_t r = 0; r < site.channels; ++r) {
    for (int64_t b = 0; b < blocks; ++b)
      out[static_cast<size_t>(b * site.channels + r)] =
          weight.scales[static_cast<size_t>(r * blocks + b)];
  }
  return scale;
}

}  // namespace

bool packs(const LayerSite& site, const LayerResult& layer, const QParams* input) {
  return layer.bits == 4 && !layer.weight.codebook && !input && site.float_input.empty();
}

QuantizedWeight quantized_weight(const LayerSite& site, const LayerResult& layer,
                                 const QParams* input) {
  QuantizedWeight q;
  q.codes = layer.weight.codes;
  if (packs(site, layer, input)) {
    q.codes = Tensor(DType::kInt4, layer.weight.codes.shape());
    for (int64_t i = 0; i < q.codes.size(); ++i)
      q.codes.set_number(i, layer.weight.codes.number(i));
  }
  q.axis = site.channel_axis;
  if (layer.weight.block > 0) {
    q.block = layer.weight.block;
    q.axis = 1 - site.channel_axis;
    q.scale = block_scales(layer.weight, site);
  } else if (one_scale(layer.weight)) {
    q.scale = Tensor::scalar<float>(layer.weight.scales[0]);
  } else {
    q.scale = Tensor::of<float>({site.channels}, layer.weight.scales);
  }
  return q;
}

}  // namespace qtool::qdq
