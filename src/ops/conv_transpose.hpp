// Geometry of ConvTranspose.
#pragma once

#include "qtool/ops.hpp"

namespace qtool {

struct TransposedWindow {
  Window window;  // of the convolution whose gradient this is: `input` is this operator's input
  int64_t groups;
  int64_t filters;  // of a group
};

// Padding and output size worked out, everything checked: ONNX "ConvTranspose", the equations of
// output_shape. `call` needs no inputs; throws Error{kModel}.
TransposedWindow transposed_window(const Call& call, const Shape& input, const Shape& weight);

}  // namespace qtool
