// What QLinearConv and QGemm share: constant parameters read from inputs, result scale, code clamp.
#pragma once

#include "exec/onednn/primitive.hpp"

namespace qtool::onednn {

// Constant parameters of a quantized layer with inputs (x, x_scale, x_zero_point, w, w_scale,
// w_zero_point, …, y_scale, y_zero_point).
struct LayerParameters {
  DType result = DType::kUndefined;
  std::vector<float> scales;  // x_scale · w_scale / y_scale, one or one per output channel
  int32_t source_zero_point = 0, result_zero_point = 0;
};
// Empty when a parameter is not constant, the weight is not symmetric int8, or types are unusual.
// `y_scale` is the index of the result's scale input, its zero point follows; absent: a float result.
std::optional<LayerParameters> layer_parameters(const KernelRequest& request, size_t y_scale);
// Scales for one or all channels, and a bias (may be absent) of int32 for every channel.
bool fits(const LayerParameters& parameters, const Tensor* bias, int64_t channels);

// Result scale per output channel (axis 1) or for all (one entry): real = accumulator × scale.
class OutputScale {
 public:
  OutputScale(dnnl::primitive_attr& attr, std::vector<float> scales, int weight_mask);
  void bind(std::vector<Primitive::Argument>& arguments) const;

 private:
  std::vector<float> scales_;
};

// Attributes: user scratchpad, scales, zero points, the clamp of "code_min"/"code_max"; for float results
// a row of floats of shape `row` (empty: none) that is added, then the node's activation but for Gelu.
class QuantizedAttributes {
 public:
  QuantizedAttributes(const KernelRequest& request, LayerParameters parameters, int weight_mask,
                      const Shape& row = {});
  const dnnl::primitive_attr& attr() const { return attr_; }
  // Adds scales and zero points, which live as long as this object stays where it is.
  void bind(std::vector<Primitive::Argument>& arguments) const;
  const LayerParameters& parameters() const { return parameters_; }
  const Descriptor& row_descriptor() const { return row_; }
  static int row_argument() { return DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1; }

 private:
  static void append_round(dnnl::post_ops& ops);
  void append_clamp(dnnl::post_ops& ops, const Node& node) const;

  LayerParameters parameters_;
  dnnl::primitive_attr attr_;
  OutputScale scale_;
  Descriptor row_;
};

// The int32 bias as oneDNN's version wants it: 2.x scales it with the sum, 3.x wants it scaled.
Descriptor bias_descriptor(int64_t channels, int64_t rank);
Tensor bias_values(const Tensor& bias, const LayerParameters& parameters);

}  // namespace qtool::onednn
