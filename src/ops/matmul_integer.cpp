// MatMulInteger and QLinearMatMul: products of 8-bit codes, summed in int32.
#include "ops/integer_codes.hpp"
#include "ops/matrix.hpp"

namespace qtool {
namespace {

constexpr QuantRule kAlready{.reason = "already part of a quantized graph"};

std::vector<Tensor> eval_matmul_integer(const Call& call) {
  const MatrixProduct p = resolve_matmul(call, call.in(0).shape(), call.in(1).shape());
  // One zero point a row of A, one a column of B.
  const auto a = centered_codes(call, 0, 2, -2), b = centered_codes(call, 1, 3, -1);
  Tensor out = Tensor::uninitialized(DType::kInt32, p.shape);
  if (out.size() == 0) return {out};
  int32_t* y = out.mutable_data<int32_t>().data();
  multiply<int32_t>(p, a.data(), b.data(), [&](int64_t, std::span<const int32_t> sums) {
    y = std::ranges::copy(sums, y).out;
  });
  return {out};
}

// Inputs: a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point.
std::vector<Tensor> eval_qlinear_matmul(const Call& call) {
  const MatrixProduct p = resolve_matmul(call, call.in(0).shape(), call.in(3).shape());
  const auto a = centered_codes(call, 0, 2, -2), b = centered_codes(call, 3, 5, -1);
  const auto a_scale = scales(call, 1, p.rows), b_scale = scales(call, 4, p.columns);
  const float y_scale = scales(call, 6, 1)[0];
  return {with_code_type(call, 7, [&](auto code) {
    using T = decltype(code);
    const float zero = call.in(7).data<T>()[0];
    Tensor out = Tensor::uninitialized(dtype_of<T>(), p.shape);
    if (out.size() == 0) return out;
    T* y = out.mutable_data<T>().data();
    multiply<int32_t>(p, a.data(), b.data(), [&](int64_t i, std::span<const int32_t> sums) {
      for (size_t j = 0; j < sums.size(); ++j) {
        *y++ = requantize<T>(sums[j], a_scale[static_cast<size_t>(i)] * b_scale[j] / y_scale, zero);
      }
    });
    return out;
  })};
}

int64_t integer_macs(const Node&, std::span<const Shape> inputs, std::span<const Shape> outputs) {
  return matmul_macs(inputs, outputs, 0);
}

}  // namespace

extern const OpDef kMatMulInteger{.type = "MatMulInteger",
                                  .since = 10,
                                  .eval = eval_matmul_integer,
                                  .macs = integer_macs,
                                  .quant = kAlready};
extern const OpDef kQLinearMatMul{.type = "QLinearMatMul",
                                  .since = 10,
                                  .eval = eval_qlinear_matmul,
                                  .macs = integer_macs,
                                  .quant = kAlready};

}  // namespace qtool
