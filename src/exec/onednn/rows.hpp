// Rows times a constant matrix as a 1×1 convolution: a channels-last picture of one column is a
// row-major matrix, and convolution kernels keep the weights packed, which matrix products do not.
#pragma once

#include "exec/onednn/primitive.hpp"

namespace qtool::onednn {

struct RowsShape {
  int64_t count, depth, columns;
};
// Empty where oneDNN has no compiled kernel. `bias`: empty, or of one value a column.
std::optional<dnnl::convolution_forward::primitive_desc> rows_descriptor(
    const RowsShape& shape, DType source, DType weights, const Descriptor& bias, DType result,
    const dnnl::primitive_attr& attr);

// The matrix [depth][columns] ([columns][depth] when transposed) packed for that convolution.
Tensor packed_rows(const Tensor& matrix, bool transposed, const Descriptor& weights);

}  // namespace qtool::onednn
