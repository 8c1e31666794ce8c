// ModelProto → Model.
#pragma once

#include "onnx/tensor_proto.hpp"

namespace qtool::onnx_detail {

// Takes a whole model out of its message (which is left in pieces). Weights are moved, not copied.
// Everything that the Model does not represent is kept serialized in the `opaque` fields.
// Throws Error{kModel}, with node, tensor or value as context.
Model read_model(onnx::ModelProto& proto, const TensorSource& source);

}  // namespace qtool::onnx_detail
