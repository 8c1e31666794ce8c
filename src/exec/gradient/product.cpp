// Gemm and MatMul: each operand's gradient is a product of the result's with the other operand.
#include <dnnl.h>

#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

// A row-major matrix, or the transpose of one.
struct Matrix {
  const float* data;
  bool transposed;
  int64_t stride;
};

// c [m][n] += scale · a · b.
void accumulate_product(const Matrix& a, const Matrix& b, float scale, int64_t m, int64_t n,
                        int64_t k, float* c) {
  if (m == 0 || n == 0 || k == 0) return;
  dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, scale, a.data, a.stride,
             b.data, b.stride, 1.f, c, n);
}

// Matrices without their batch dimensions, those as steps in matrices.
struct Operand {
  Shape shape;  // rank 2 or more
  Shape batch() const { return Shape(shape.begin(), shape.end() - 2); }
  int64_t rows() const { return shape[shape.size() - 2]; }
  int64_t columns() const { return shape.back(); }
};

}  // namespace

Gradients gemm(const VjpCall& call) {
  const float alpha = attr_float(call.node, "alpha", 1), beta = attr_float(call.node, "beta", 1);
  const bool ta = attr_int(call.node, "transA", 0), tb = attr_int(call.node, "transB", 0);
  const Tensor& dy = call.dy();
  const float* d = dy.data<float>().data();
  const int64_t m = dy.dim(0), n = dy.dim(1), k = call.shapes[0][ta ? 0 : 1];
  Gradients found(call.inputs.size());
  if (call.wanted[0]) {
    found[0] = zeros(call.shapes[0]);
    float* out = found[0].mutable_data<float>().data();
    const Matrix b{call.inputs[1].data<float>().data(), !tb, tb ? k : n};
    const Matrix b_transposed{b.data, tb, b.stride};
    if (ta)
      accumulate_product(b_transposed, {d, true, n}, alpha, k, m, n, out);
    else
      accumulate_product({d, false, n}, b, alpha, m, k, n, out);
  }
  if (call.wanted[1]) {
    found[1] = zeros(call.shapes[1]);
    float* out = found[1].mutable_data<float>().data();
    const Matrix a{call.inputs[0].data<float>().data(), !ta, ta ? m : k};
    const Matrix a_transposed{a.data, ta, a.stride};
    if (tb)
      accumulate_product({d, true, n}, a_transposed, alpha, n, k, m, out);
    else
      accumulate_product(a, {d, false, n}, alpha, k, n, m, out);
  }
  if (call.wanted.size() > 2 && call.wanted[2]) {
    const Tensor scaled = chain(dy, dy, [beta](float) { return beta; })[0];
    found[2] = sum_to(scaled, call.shapes[2]);
  }
  return found;
}

Gradients matmul(const VjpCall& call) {
  Operand a{call.shapes[0]}, b{call.shapes[1]};
  if (a.shape.size() == 1) a.shape.insert(a.shape.begin(), 1);
  if (b.shape.size() == 1) b.shape.push_back(1);
  // Rows of all batches are one matrix where they meet the same one.
  if (b.shape.size() == 2) a.shape = {element_count(a.shape) / a.columns(), a.columns()};
  const int64_t m = a.rows(), k = a.columns(), n = b.columns();
  Gradients found(2);
  for (size_t i = 0; i < 2; ++i)
    if (call.wanted[i]) found[i] = zeros(call.shapes[i]);
  float* da = call.wanted[0] ? found[0].mutable_data<float>().data() : nullptr;
  float* db = call.wanted[1] ? found[1].mutable_data<float>().data() : nullptr;
  const float *pa = db ? call.inputs[0].data<float>().data() : nullptr,
              *pb = da ? call.inputs[1].data<float>().data() : nullptr,
              *d = call.dy().data<float>().data();
  const Shape batch = broadcast(a.batch(), b.batch());
  const LoopNest<3> nest{batch,
                         {strides_of(batch), broadcast_strides(a.batch(), batch),
                          broadcast_strides(b.batch(), batch)}};
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t y = (at[0] + i * step[0]) * m * n, l = (at[1] + i * step[1]) * m * k,
                    r = (at[2] + i * step[2]) * k * n;
      if (da) accumulate_product({d + y, false, n}, {pb + r, true, n}, 1, m, k, n, da + l);
      if (db) accumulate_product({pa + l, true, k}, {d + y, false, n}, 1, k, n, m, db + r);
    }
  });
  return found;
}

}  // namespace qtool::gradient
