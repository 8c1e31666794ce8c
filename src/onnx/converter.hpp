// ONNX's version converter, with the names of all values kept.
#pragma once

#include "onnx/proto.hpp"

namespace qtool::onnx_detail {

// The model, which has no functions of its own, at ai.onnx opset `to`.
// Doc strings, metadata and annotations are lost on the way, as are names of nodes that are
// replaced. Throws Error{kModel, QT-E303} with the converter's reason.
onnx::ModelProto run_converter(onnx::ModelProto proto, int64_t from, int64_t to);

}  // namespace qtool::onnx_detail
