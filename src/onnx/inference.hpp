// ONNX's type and shape inference, made harmless.
#pragma once

#include "onnx/proto.hpp"

namespace qtool::onnx_detail {

// Fills in value_info and output types as far as ONNX's inference comes; what stops it is logged.
void infer_types(onnx::ModelProto& proto);

}  // namespace qtool::onnx_detail
