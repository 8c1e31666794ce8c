// Gradients of a 1×1 convolution as products of plain matrices, which spares both operands' and the result's
// change of layout.
#pragma once

#include "exec/onednn/window.hpp"

namespace qtool::gradient {

// One tap, one group, no strides and no padding.
bool is_pointwise(const onednn::ConvShape& shape, const Shape& input);
// float32 in `input`'s shape: Σ over filters of w · dy.
Tensor pointwise_data_gradient(const Tensor& weight, const Tensor& dy, const Shape& input);
// float32 in `weight`'s shape: Σ over samples and positions of dy · x.
Tensor pointwise_weight_gradient(const Tensor& x, const Tensor& dy, const Shape& weight);

}  // namespace qtool::gradient
