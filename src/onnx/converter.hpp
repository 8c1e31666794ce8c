// ONNX's version converter, with the names of all values kept.
#pragma once

#include "onnx/proto.hpp"

namespace qtool::onnx_detail {

// The model at ai.onnx opset `to`; calls of the model's own functions are replaced by their bodies.
// Doc strings, metadata and annotations are lost on the way, as are names of nodes that are
// replaced. Throws Error{kModel, QT-E303} with the converter's reason.
onnx::ModelProto run_converter(onnx::ModelProto proto, int64_t from, int64_t to);

}  // namespace qtool::onnx_detail
