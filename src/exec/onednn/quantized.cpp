#include "exec/onednn/quantized.hpp"

namespace qtool::onednn {

std::optional<LayerParameters> layer_parameters(const KernelRequest& r, size_t y_scale) {
  const bool real = !r.has(y_scale);
  for (size_t i : {size_t{1}, size_t{2}, size_t{3}, size_t{4}, size_t{5}})
    if (!r.constant(i)) return std::nullopt;
  if (!real && (!r.constant(y_scale) || !r.constant(y_scale + 1))) return std::nullopt;
  const auto eight_bit = [](DType t) { return t == DType::kUint8 || t == DType::kInt8; };
  const Tensor& w_zero = *r.constant(5);
  if (!eight_bit(r.inputs[0].dtype) || r.inputs[3].dtype != DType::kInt8) return std::nullopt;
  for (int64_t i = 0; i < w_zero.size(); ++i)
    if (w_zero.integer(i) != 0) return std::nullopt;
  LayerParameters p;
  p.result = real ? DType::kFloat : r.inputs[y_scale + 1].dtype;
  if (!real && (!eight_bit(p.result) || r.constant(y_scale)->size() != 1 ||
                r.constant(y_scale + 1)->size() != 1))
    return std::nullopt;
  if (r.constant(1)->size() != 1 || r.constant(2)->size() != 1) return std::nullopt;
  if (r.constant(1)->dtype() != DType::kFloat || r.constant(4)->dtype() != DType::kFloat)
    return std::nullopt;
  if (!real && r.constant(y_scale)->dtype() != DType::kFloat) return std::nullopt;
  const float x = r.constant(1)->data<float>()[0],
              y = real ? 1.f : r.constant(y_scale)->data<float>()[0];
  for (float w : r.constant(4)->data<float>()) p.scales.push_back(x * w / y);
  p.source_zero_point = static_cast<int32_t>(r.constant(2)->integer(0));
  p.result_zero_point = real ? 0 : static_cast<int32_t>(r.constant(y_scale + 1)->integer(0));
  return p;
}

bool fits(const LayerParameters& parameters, const Tensor* bias, int64_t channels) {
  const auto scales = static_cast<int64_t>(parameters.scales.size());
  return (scales == 1 || scales == channels) &&
         (!bias || (bias->dtype() == DType::kInt32 && bias->size() == channels));
}

#if DNNL_VERSION_MAJOR >= 3
OutputScale::OutputScale(dnnl::primitive_attr& attr, std::vector<float> scales, int weight_mask)
    : scales_(std::move(scales)) {
  attr.set_scales_mask(DNNL_ARG_WEIGHTS, scales_.size() == 1 ? 0 : weight_mask);
}
void OutputScale::bind(std::vector<Primitive::Argument>& arguments) const {
  arguments.push_back({DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS,
                       plain_descriptor(DType::kFloat, {static_cast<int64_t>(scales_.size())}),
                       scales_.data()});
}
#else
OutputScale::OutputScale(dnnl::primitive_attr& attr, std::vector<float> scales, int) {
  attr.set_output_scales(scales.size() == 1 ? 0 : 2, scales);
}
void OutputScale::bind(std::vector<Primitive::Argument>&) const {}
#endif

QuantizedAttributes::QuantizedAttributes(const KernelRequest& request, LayerParameters parameters,
                                         int weight_mask, const Shape& row)
    : parameters_(std::move(parameters)),
      attr_(user_scratchpad()),
      scale_(attr_, parameters_.scales, weight_mask) {
  if (parameters_.source_zero_point) set_source_zero_point(attr_);
  if (parameters_.result_zero_point) set_result_zero_point(attr_);
  dnnl::post_ops ops;
  if (parameters_.result != DType::kFloat) {
    if (parameters_.result_zero_point) append_round(ops);
    append_clamp(ops, request.node);
  } else {
    if (!row.empty()) {
      row_ = plain_descriptor(DType::kFloat, row);
      ops.append_binary(dnnl::algorithm::binary_add, row_);
    }
    if (!has_gelu(request.node) && !append_activation(ops, request.node))
      throw_internal("an activation without a kernel");
  }
  attr_.set_post_ops(ops);
}

// ONNX rounds before it adds the zero point, oneDNN after, and the sum of both in float may be a tie, or
// end one, where the product alone is none.
void QuantizedAttributes::append_round(dnnl::post_ops& ops) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(dnnl::algorithm::eltwise_round, 0, 0);
#else
  ops.append_eltwise(1.f, dnnl::algorithm::eltwise_round, 0, 0);
#endif
}

void QuantizedAttributes::append_clamp(dnnl::post_ops& ops, const Node& node) const {
  const bool u8 = parameters_.result == DType::kUint8;
  const int64_t lo = attr_int(node, "code_min", u8 ? 0 : -128),
                hi = attr_int(node, "code_max", u8 ? 255 : 127);
  if (lo <= (u8 ? 0 : -128) && hi >= (u8 ? 255 : 127)) return;
  const float below = static_cast<float>(lo - parameters_.result_zero_point);
  const float above = static_cast<float>(hi - parameters_.result_zero_point);
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(dnnl::algorithm::eltwise_clip, below, above);
#else
  ops.append_eltwise(1.f, dnnl::algorithm::eltwise_clip, below, above);
#endif
}

void QuantizedAttributes::bind(std::vector<Primitive::Argument>& arguments) const {
  scale_.bind(arguments);
  const auto zero_point = [&](int which, const int32_t& value) {
    if (value == 0) return;
    arguments.push_back(
        {DNNL_ARG_ATTR_ZERO_POINTS | which, plain_descriptor(DType::kInt32, {1}), &value});
  };
  zero_point(DNNL_ARG_SRC, parameters_.source_zero_point);
  zero_point(DNNL_ARG_DST, parameters_.result_zero_point);
}

Descriptor bias_descriptor(int64_t channels, int64_t rank) {
  Shape shape(static_cast<size_t>(rank), 1);
  shape.back() = channels;
  return plain_descriptor(DNNL_VERSION_MAJOR >= 3 ? DType::kFloat : DType::kInt32, shape);
}

Tensor bias_values(const Tensor& bias, const LayerParameters& parameters) {
#if DNNL_VERSION_MAJOR >= 3
  Tensor scaled = Tensor::uninitialized(DType::kFloat, bias.shape());
  auto out = scaled.mutable_data<float>();
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(bias.data<int32_t>()[i]) *
             parameters.scales[parameters.scales.size() == 1 ? 0 : i];
  }
  return scaled;
#else
  (void)parameters;
  return bias;
#endif
}

}  // namespace qtool::onednn
