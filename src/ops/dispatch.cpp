#include "ops/dispatch.hpp"

namespace qtool {

void unsupported_type(const Call& call, DType type) {
  throw_unsupported(cat(call.node.type, ": element type ", dtype_name(type), " is not supported"));
}

std::vector<Tensor> eval_half_as_float(const Call& call, EvalFunction eval) {
  DType half = DType::kUndefined;
  for (const Tensor& t : call.inputs) {
    if (!is_half(t.dtype())) continue;
    require(half == DType::kUndefined || half == t.dtype(), call, "inputs mix ", dtype_name(half),
            " and ", dtype_name(t.dtype()));
    half = t.dtype();
  }
  if (half == DType::kUndefined) return eval(call);
  std::vector<Tensor> inputs(call.inputs.begin(), call.inputs.end());
  for (Tensor& t : inputs) {
    require(t.dtype() != DType::kFloat, call, "inputs mix ", dtype_name(half), " and float32");
    if (is_half(t.dtype())) t = cast(t, DType::kFloat);
  }
  std::vector<Tensor> outputs = eval(Call{call.node, call.opset, inputs, call.run_body});
  for (Tensor& t : outputs) {
    if (t.dtype() == DType::kFloat) t = cast(t, half);
  }
  return outputs;
}

}  // namespace qtool
