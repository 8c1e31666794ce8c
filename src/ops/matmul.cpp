// MatMul with NumPy's meaning for any rank.
#include "ops/matrix.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_matmul(const Call& call) {
  const Tensor &a = call.in(0), &b = call.in(1);
  const MatrixProduct product = resolve_matmul(call, a.shape(), b.shape());
  return {with_number(call, a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    // Floats are summed in double; whole numbers wrap.
    using A = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
    Tensor out = Tensor::uninitialized(a.dtype(), product.shape);
    T* y = out.mutable_data<T>().data();
    if (out.size() == 0) return out;
    multiply<A>(product, a.data<T>().data(), input_data<T>(call, 1).data(),
                [&](int64_t, std::span<const A> sums) {
                  for (A sum : sums) *y++ = static_cast<T>(sum);
                });
    return out;
  })};
}

int64_t macs(const Node&, std::span<const Shape> inputs, std::span<const Shape> outputs) {
  return matmul_macs(inputs, outputs, 0);
}

}  // namespace

// The weight's axis is its last one, whatever its rank.
extern const OpDef kMatMul{.type = "MatMul",
                           .eval = half_as_float<eval_matmul>,
                           .macs = macs,
                           .quant = {.kind = QuantKind::kLinear,
                                     .weight_input = 1,
                                     .weight_axis = [](const Node&) -> int64_t { return -1; },
                                     .reason = "",
                                     .column_product = true}};

}  // namespace qtool
