// The gradient of a depthwise convolution's weights: oneDNN's own kernels take 3 by 3 alone, and one matrix product
// a channel is ten times slower.
#pragma once

#include "exec/onednn/window.hpp"

namespace qtool::gradient {

// One input channel a group, one or two dimensions.
bool is_depthwise(const onednn::ConvShape& shape, const Shape& input);
// float32 [filters, 1, kernel…]. `x` has the shape that `shape` was made for; `dy` is its result's gradient.
Tensor depthwise_weight_gradient(const onednn::ConvShape& shape, const Tensor& x, const Tensor& dy,
                                 const Shape& weight);

}  // namespace qtool::gradient
