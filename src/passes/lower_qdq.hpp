// Parts of the Q/DQ lowering.
#pragma once

#include <optional>
#include <string>

#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {

// Codes and constant parameters behind a DequantizeLinear, or in front of a QuantizeLinear.
struct Codes {
  ValueId codes = ValueId::kNone, scale = ValueId::kNone, zero_point = ValueId::kNone;
  const Tensor* scale_data = nullptr;
  const Tensor* zero_data = nullptr;
  DType type = DType::kUndefined;
};

// Why a node stays in float, thrown and caught inside the lowering.
struct Refusal {
  std::string reason;
};

// A view of the graph while its nodes are rewritten one by one.
class LoweringContext {
 public:
  LoweringContext(Model& model) : model_(model), graph_(model.graph), uses_(uses_of(model.graph)) {}

  Graph& graph() { return graph_; }
  const Model& model() const { return model_; }
  // The quantized form of an activation input: per tensor, 8 bits. Throws Refusal.
  Codes activation(ValueId value, std::string_view what);
  // The quantized form of a constant weight: symmetric int8 codes as an initializer. Throws Refusal.
  Codes weight(ValueId value, int64_t axis);
  // The codes of a constant behind DequantizeLinear; nullptr when it is no such constant.
  const Tensor* dequantized_constant(ValueId value) const {
    const auto c = dequantized(value);
    return c ? graph_.constant(c->codes) : nullptr;
  }
  bool is_dequantized(ValueId value) const { return dequantized(value).has_value(); }
  // The int32 codes of a constant bias whose scale is x_scale · w_scale; kNone for an absent bias. Throws Refusal.
  ValueId bias(ValueId value, const Codes& x, const Codes& w);

  // What stands behind a node up to its one QuantizeLinear.
  struct Result {
    Codes to;
    int32_t quantize = -1;               // node index of the Q
    int32_t clip = -1;                   // index of a Clip of its codes
    std::vector<int32_t> activations;    // Relu or Clip between
    int32_t code_min = 0, code_max = 0;  // clamp that the activations mean, in codes
    bool clamps = false;                 // narrower than the type
  };
  Result result(const Node& node);
  // Whether result() would find a quantizer that makes 8-bit codes.
  bool has_quantizer(const Node& node);

  // Replaces node i by an operator that makes the result's codes.
  void replace(int32_t i, const Result& result, std::string type, std::string domain,
               std::vector<ValueId> inputs);
  // Replaces node i by an operator on codes that still makes the node's float result.
  void replace_keeping_result(int32_t i, std::string type, std::string domain,
                              std::vector<ValueId> inputs);
  const std::vector<int32_t>& removed() const { return removed_; }

 private:
  std::optional<Codes> dequantized(ValueId value) const;
  void clamp(const Node& activation, Result& result) const;
  // The Clip of codes that alone reads the Q's result becomes part of it.
  void clamp_codes(Result& result);

  Model& model_;
  Graph& graph_;
  Uses uses_;
  std::vector<int32_t> removed_;
};

}  // namespace qtool::passes
