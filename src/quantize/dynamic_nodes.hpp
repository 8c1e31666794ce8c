// Layers that quantize what they read at run time.
#pragma once

#include "quantize/weight_nodes.hpp"

namespace qtool::qdq {

// Replaces layers by DynamicQuantizeLinear → MatMulInteger or ConvInteger → Cast → Mul (→ Add of the
// bias), the pattern that onnxruntime fuses; layers that read one value share its codes.
class DynamicNodes {
 public:
  DynamicNodes(Graph& graph, WeightNodes& weights) : g_(graph), weights_(weights) {}
  void replace(const LayerSite& site, const LayerResult& layer);

 private:
  struct Codes {
    ValueId codes, scale, zero_point;
  };
  const Codes& codes_of(ValueId input);
  ValueId weight_codes(const LayerSite& site, const LayerResult& layer);
  ValueId node(const std::string& name, const char* type, std::vector<ValueId> inputs, DType dtype,
               const std::optional<Shape>& shape);

  Graph& g_;
  WeightNodes& weights_;
  std::map<ValueId, Codes> codes_;  // by what they are codes of
};

}  // namespace qtool::qdq
