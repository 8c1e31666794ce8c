#include "ops/matrix.hpp"

#include "ops/loops.hpp"

namespace qtool {

MatrixProduct resolve_matmul(const Call& call, const Shape& a_shape, const Shape& b_shape) {
  require(!a_shape.empty() && !b_shape.empty(), call, "a scalar cannot be multiplied as a matrix");
  Shape a = a_shape, b = b_shape;
  // Vectors become a row or a column, and lose that dimension again.
  if (a_shape.size() == 1) a.insert(a.begin(), 1);
  if (b_shape.size() == 1) b.push_back(1);
  MatrixProduct p;
  p.rows = a[a.size() - 2];
  p.inner = a.back();
  p.columns = b.back();
  require(b[b.size() - 2] == p.inner, call, shape_text(a_shape), " cannot be multiplied with ",
          shape_text(b_shape));
  const Shape batch_a(a.begin(), a.end() - 2), batch_b(b.begin(), b.end() - 2);
  p.batch = broadcast(batch_a, batch_b);
  p.a_strides = broadcast_strides(batch_a, p.batch);
  p.b_strides = broadcast_strides(batch_b, p.batch);
  for (int64_t& s : p.a_strides) s *= p.rows * p.inner;
  for (int64_t& s : p.b_strides) s *= p.inner * p.columns;
  p.shape = p.batch;
  if (a_shape.size() > 1) p.shape.push_back(p.rows);
  if (b_shape.size() > 1) p.shape.push_back(p.columns);
  return p;
}

int64_t matmul_macs(std::span<const Shape> inputs, std::span<const Shape> outputs, size_t left) {
  if (inputs.size() <= left || outputs.empty()) return 0;
  const Shape& a = inputs[left];
  if (a.empty() || !is_static(a) || !is_static(outputs[0])) return 0;
  return element_count(outputs[0]) * a.back();
}

}  // namespace qtool
