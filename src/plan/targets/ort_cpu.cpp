#include "plan/targets.hpp"

namespace qtool {
namespace {

// onnxruntime's CPU provider: integer kernels for layers, Add, Concat, average pools; data movement runs on any codes.
bool runs_on_codes(const Node& node, const QuantRule& rule) {
  switch (rule.kind) {
    case QuantKind::kLinear: return is(node, "Conv") || is(node, "Gemm") || is(node, "MatMul");
    case QuantKind::kBinary: return is(node, "Add");
    case QuantKind::kJoint:
    case QuantKind::kAverage:
    case QuantKind::kMovement: return true;
    default: return false;
  }
}

}  // namespace

extern const Target kOrtCpu = {.name = "ort-cpu",
                               .summary = "onnxruntime's CPU provider: u8 activations, symmetric s8 weights per channel",
                               .runs_on_codes = runs_on_codes};

}  // namespace qtool
