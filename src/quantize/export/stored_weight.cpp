// Weight codes as the tensors of a DequantizeLinear.
#include <algorithm>

#include "quantize/export/weight_nodes.hpp"

namespace qtool::qdq {
namespace {

bool one_scale(const WeightCodes& weight) {
  return weight.channels_a_scale == 0 &&
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

DType stored_type(const LayerSite& site, const LayerResult& layer, const QParams* input,
                  const ExportStyle& style) {
  const Codebook* book = layer.weight.codebook.get();
  if (book && book->type != DType::kInt8) return book->type;
  if (book && !book->codes_are_levels()) {
    if (!style.packs() || book->entries() > 16) return DType::kUint8;
    return book->entries() > 4 ? DType::kUint4 : DType::kUint2;
  }
  if (style.packs() && layer.bits <= 4) return layer.bits <= 2 ? DType::kInt2 : DType::kInt4;
  const bool made_real = site.float_input.empty() || site.input.empty();  // of Sites::stored
  const bool floats = layer.bits == 4 && !layer.dynamic() && !book && !input && made_real;
  return floats ? DType::kInt4 : DType::kInt8;
}

Tensor stored_as(const Tensor& codes, DType type) {
  if (codes.dtype() == type) return codes;
  Tensor stored(type, codes.shape());
  for (int64_t i = 0; i < codes.size(); ++i) stored.set_number(i, codes.number(i));
  return stored;
}

QuantizedWeight quantized_weight(const LayerSite& site, const LayerResult& layer, DType type) {
  QuantizedWeight q;
  q.codes = stored_as(layer.weight.codes, type);
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
