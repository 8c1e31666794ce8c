#include "plan/targets.hpp"

namespace qtool {

static constexpr std::string_view kIntegerTypes[] = {
    "Conv", "Gemm", "MatMul", "Add", "Concat", "AveragePool", "GlobalAveragePool"};

// onnxruntime's CPU provider.
extern const Target kOrtCpu = {
    .name = "ort-cpu",
    .summary = "onnxruntime's CPU provider: u8 activations, symmetric s8 weights per channel",
    .integer_types = kIntegerTypes};

}  // namespace qtool
