// Matrix products that MatMul, Gemm and their integer forms share.
#pragma once

#include <algorithm>

#include "ops/dispatch.hpp"

namespace qtool {

// NumPy's matmul of two shapes: `batch` pairs of [rows, inner] × [inner, columns] matrices.
struct MatrixProduct {
  int64_t rows, inner, columns;
  Shape batch;                 // broadcast leading dimensions
  Shape a_strides, b_strides;  // of the batch dimensions, in elements, 0 where repeated
  Shape shape;                 // of the output
};
// Throws Error{kModel} when the shapes do not fit.
MatrixProduct resolve_matmul(const Call& call, const Shape& a, const Shape& b);

// Multiply-accumulates of a product whose left operand is `inputs[left]`.
int64_t matmul_macs(std::span<const Shape> inputs, std::span<const Shape> outputs, size_t left);

// One row of a product: sums[j] = Σ_k a[k] · b[k, j]; b is row-major.
template <typename T, typename A>
void multiply_row(const T* a, const T* b, std::span<A> sums, int64_t inner) {
  std::fill(sums.begin(), sums.end(), A(0));
  const auto columns = static_cast<int64_t>(sums.size());
  for (int64_t k = 0; k < inner; ++k) {
    const A left = static_cast<A>(a[k]);
    const T* row = b + k * columns;
    for (int64_t j = 0; j < columns; ++j)
      sums[static_cast<size_t>(j)] += left * static_cast<A>(row[j]);
  }
}

// Calls finish(row, sums) for every row of every product, in the order of the output.
template <typename A, typename T, typename Finish>
void multiply(const MatrixProduct& p, const T* a, const T* b, Finish&& finish) {
  std::vector<A> sums(static_cast<size_t>(p.columns));
  const int64_t count = element_count(p.batch);
  for (int64_t n = 0; n < count; ++n) {
    int64_t from_a = 0, from_b = 0, rest = n;
    for (size_t d = p.batch.size(); d-- > 0; rest /= p.batch[d]) {
      from_a += rest % p.batch[d] * p.a_strides[d];
      from_b += rest % p.batch[d] * p.b_strides[d];
    }
    for (int64_t i = 0; i < p.rows; ++i) {
      multiply_row(a + from_a + i * p.inner, b + from_b, std::span<A>(sums), p.inner);
      finish(i, std::span<const A>(sums));
    }
  }
}

}  // namespace qtool
