#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// Visits (row, column, element index) with columns in (kernel position, input channel) order.
template <typename Visit>
void for_each_element(const Shape& shape, int64_t channel_axis, Visit visit) {
  const int64_t rows = shape[static_cast<size_t>(channel_axis)];
  if (shape.size() <= 2) {
    const int64_t columns = rows ? element_count(shape) / rows : 0;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c)
        visit(r, c, channel_axis == 0 ? r * columns + c : c * rows + r);
    }
    return;
  }
  const int64_t channels = shape[1];
  int64_t positions = 1;
  for (size_t d = 2; d < shape.size(); ++d) positions *= shape[d];
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t p = 0; p < positions; ++p) {
      for (int64_t c = 0; c < channels; ++c)
        visit(r, p * channels + c, (r * channels + c) * positions + p);
    }
  }
}

}  // namespace

std::vector<float> rows_of(const Tensor& weight, int64_t channel_axis) {
  std::vector<float> rows(static_cast<size_t>(weight.size()));
  const int64_t columns = weight.size() / weight.dim(channel_axis);
  const auto data = weight.data<float>();
  for_each_element(weight.shape(), channel_axis, [&](int64_t r, int64_t c, int64_t i) {
    rows[static_cast<size_t>(r * columns + c)] = data[static_cast<size_t>(i)];
  });
  return rows;
}

Tensor from_rows(const std::vector<int8_t>& rows, const Shape& shape, int64_t channel_axis) {
  Tensor out = Tensor::uninitialized(DType::kInt8, shape);
  const int64_t columns = out.size() / shape[static_cast<size_t>(channel_axis)];
  auto data = out.mutable_data<int8_t>();
  for_each_element(shape, channel_axis, [&](int64_t r, int64_t c, int64_t i) {
    data[static_cast<size_t>(i)] = rows[static_cast<size_t>(r * columns + c)];
  });
  return out;
}

}  // namespace qtool::qdq
