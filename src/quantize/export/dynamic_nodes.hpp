// Layers that quantize what they read at run time.
#pragma once

#include "quantize/export/weight_nodes.hpp"

namespace qtool::qdq {

// Replaces layers by DynamicQuantizeLinear → MatMulInteger or ConvInteger → Cast → Mul (→ Add of the
// bias), the pattern that onnxruntime fuses; layers that read one value share its codes. With one range a row the
// codes are round(x / scale) in int8, scale the row's largest magnitude / 127, and each row of sums is multiplied by
// its own.
class DynamicNodes {
 public:
  DynamicNodes(Graph& graph, int64_t opset, WeightNodes& weights)
      : g_(graph), opset_(opset), weights_(weights) {}
  void replace(const LayerSite& site, const LayerResult& layer);

 private:
  struct Codes {
    ValueId codes, scale, zero_point;
  };
  Codes codes_of(ValueId input, ActivationMode mode);
  Codes codes_of_tensor(ValueId input);
  Codes codes_of_rows(ValueId input);
  ValueId weight_codes(const LayerSite& site, const LayerResult& layer);
  ValueId node(const std::string& name, const char* type, std::vector<ValueId> inputs, DType dtype,
               const std::optional<Shape>& shape);

  Graph& g_;
  int64_t opset_;
  WeightNodes& weights_;
  std::map<std::pair<ValueId, ActivationMode>, Codes> codes_;  // by what they are codes of
};

}  // namespace qtool::qdq
