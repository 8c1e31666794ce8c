#include "qtool/transpose.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {

RowLayout row_layout(const Shape& shape, int64_t channel_axis) {
  const auto rank = static_cast<int64_t>(shape.size());
  const auto product = [&](int64_t from, int64_t to) {
    int64_t n = 1;
    for (int64_t d = from; d < to; ++d) n *= shape[static_cast<size_t>(d)];
    return n;
  };
  RowLayout l;
  l.rows = shape[static_cast<size_t>(channel_axis)];
  if (channel_axis == rank - 1) {  // [stack…, in, out] of MatMul and Gemm, or a vector
    l.channels = rank > 1 ? shape[static_cast<size_t>(rank - 2)] : 1;
    l.positions = product(0, rank - 2);
    l.channel_stride = l.rows;
    l.position_stride = l.rows * l.channels;
    l.row_stride = 1;
    return l;
  }
  // [out, in, kernel…] of Conv and Gemm, or [in, out, kernel…] of ConvTranspose
  const bool transposed = channel_axis == 1;
  l.channels = shape[transposed ? 0 : 1];
  l.positions = product(2, rank);
  l.position_stride = 1;
  l.row_stride = transposed ? l.positions : l.positions * l.channels;
  l.channel_stride = transposed ? l.positions * l.rows : l.positions;
  return l;
}

std::vector<float> rows_of(const Tensor& weight, int64_t channel_axis) {
  std::vector<float> rows(static_cast<size_t>(weight.size()));
  const auto data = weight.data<float>();
  const RowLayout layout = row_layout(weight.shape(), channel_axis);
  if (layout.is_transposed()) {
    transpose(data.data(), layout.channels, layout.rows, rows.data());
    return rows;
  }
  size_t at = 0;
  layout.for_each([&](int64_t, int64_t, int64_t i) { rows[at++] = data[static_cast<size_t>(i)]; });
  return rows;
}

namespace {

template <typename T>
Tensor placed(const std::vector<T>& rows, const Shape& shape, int64_t channel_axis) {
  Tensor out = Tensor::uninitialized(dtype_of<T>(), shape);
  auto data = out.mutable_data<T>();
  const RowLayout layout = row_layout(shape, channel_axis);
  if (layout.is_transposed()) {
    transpose(rows.data(), layout.rows, layout.channels, data.data());
    return out;
  }
  size_t at = 0;
  layout.for_each([&](int64_t, int64_t, int64_t i) { data[static_cast<size_t>(i)] = rows[at++]; });
  return out;
}

}  // namespace

Tensor from_rows(const std::vector<int8_t>& rows, const Shape& shape, int64_t channel_axis) {
  return placed(rows, shape, channel_axis);
}

Tensor from_rows(const std::vector<float>& rows, const Shape& shape, int64_t channel_axis,
                 DType type) {
  return cast(placed(rows, shape, channel_axis), type);
}

}  // namespace qtool::qdq
