// QMatMul (qtool): MatMul of codes with QGemm's operands, for any ranks.
#include "ops/integer_codes.hpp"
#include "ops/matrix.hpp"

namespace qtool {
namespace {

// a, a_scale, a_zero_point, b, b_scale, b_zero_point, (none), y_scale, y_zero_point (absent: a float
// result). b_scale: one, or one per column.
std::vector<Tensor> eval_qmatmul(const Call& call) {
  const MatrixProduct p = resolve_matmul(call, call.in(0).shape(), call.in(3).shape());
  const auto a = centered_codes(call, 0, 2, -2), b = centered_codes(call, 3, 5, -1);
  const float a_scale = scales(call, 1, 1)[0];
  const auto b_scale = scales(call, 4, p.columns);
  Tensor real = Tensor::uninitialized(DType::kFloat, p.shape);
  if (real.size() > 0) {
    float* y = real.mutable_data<float>().data();
    multiply<int32_t>(p, a.data(), b.data(), [&](int64_t, std::span<const int32_t> sums) {
      for (size_t j = 0; j < sums.size(); ++j)
        *y++ = static_cast<float>(sums[j]) * (a_scale * b_scale[j]);
    });
  }
  if (!call.has(7)) return {std::move(real)};
  Node q;
  q.name = call.node.name;
  q.type = "QuantizeLinear";
  q.inputs.assign(3, ValueId::kNone);
  q.outputs = {ValueId::kNone};
  constexpr int64_t kOpset = 13;
  return eval_node(q, kOpset, std::vector<Tensor>{std::move(real), call.in(7), call.in(8)});
}

}  // namespace

extern const OpDef kQMatMul = {
    .type = "QMatMul",
    .domain = "qtool",
    .eval = eval_qmatmul,
    .macs = [](const Node&, std::span<const Shape> inputs, std::span<const Shape> outputs) {
      return matmul_macs(inputs, outputs, 0);
    }};

}  // namespace qtool
