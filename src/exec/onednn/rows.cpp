#include "exec/onednn/rows.hpp"

#include "exec/floats/erf.hpp"
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/window.hpp"
#include "qtool/transpose.hpp"

namespace qtool::onednn {

std::optional<dnnl::convolution_forward::primitive_desc> rows_descriptor(
    const RowsShape& shape, DType source, DType weights, const Descriptor& bias, DType result,
    const dnnl::primitive_attr& attr) {
  const Shape x = {1, shape.depth, 1, shape.count}, y = {1, shape.columns, 1, shape.count};
  ConvShape conv;
  conv.output = y;
  conv.weights = {shape.columns, shape.depth, 1, 1};
  conv.strides = {1, 1};
  conv.dilations = conv.pads_begin = conv.pads_end = {0, 0};
  try {
    const auto pd = convolution_descriptor(conv, channels_last(source, x),
                                           any_descriptor(weights, conv.weights), bias,
                                           channels_last(result, y), attr);
    const std::string_view name = pd.impl_info_str();
    const bool compiled = name.starts_with("jit") || name.starts_with("brg");
    return compiled ? std::optional(pd) : std::nullopt;
  } catch (const dnnl::error&) {
    return std::nullopt;
  }
}

RowsKernel::RowsKernel(std::string name, const KernelRequest& request, Tensor packed, DType result,
                       Shape output)
    : name_(std::move(name)),
      packed_(std::move(packed)),
      result_(result),
      output_(std::move(output)),
      gelu_(has_gelu(request.node)),
      reads_constants_(request.constant(0) != nullptr) {}

void RowsKernel::run(std::span<Array> inputs, std::span<Array> outputs) const {
  const Tensor rows = inputs[0].plain();
  outputs[0] = Array(Tensor::uninitialized(result_, output_));
  const void* const addresses[] = {rows.raw(), outputs[0].tensor.mutable_raw()};
  primitive_->run(addresses);
  if (gelu_)
    floats::gelu_in_place(outputs[0].tensor.mutable_data<float>().data(), outputs[0].tensor.size());
}

Tensor packed_rows(const Tensor& matrix, bool transposed, const Descriptor& weights) {
  const int64_t columns = matrix.dim(transposed ? 0 : 1), depth = matrix.dim(transposed ? 1 : 0);
  Tensor rows = matrix;
  if (!transposed) {
    rows = Tensor::uninitialized(matrix.dtype(), {columns, depth});
    if (dtype_bits(matrix.dtype()) == 32)
      transpose(static_cast<const uint32_t*>(matrix.raw()), depth, columns,
                static_cast<uint32_t*>(rows.mutable_raw()));
    else
      transpose(static_cast<const uint8_t*>(matrix.raw()), depth, columns,
                static_cast<uint8_t*>(rows.mutable_raw()));
  }
  return reordered(rows.raw(), plain_descriptor(matrix.dtype(), {columns, depth, 1, 1}), weights);
}

}  // namespace qtool::onednn
