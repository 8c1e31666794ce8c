#include "plan/targets.hpp"

namespace qtool {

static constexpr std::string_view kIntegerTypes[] = {
    "Conv",    "Gemm",     "MatMul", "Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool",
    "Sigmoid", "LeakyRelu"};
static constexpr std::string_view kWeightTypes[] = {"MatMul", "Gemm"};  // MatMulNBits

// onnxruntime's CPU provider.
extern const Target kOrtCpu = {
    .name = "ort-cpu",
    .summary = "onnxruntime's CPU provider: u8 activations, symmetric s8 weights per channel",
    .integer_types = kIntegerTypes,
    .weight_types = kWeightTypes};

}  // namespace qtool
