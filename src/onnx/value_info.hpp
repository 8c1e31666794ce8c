// ValueInfoProto ↔ Value: type, dimensions and their names; everything else is kept as it is.
// is.
#pragma once

#include "onnx/proto.hpp"

namespace qtool::onnx_detail {

// Takes the type out of `info` into `value` and keeps the rest in value.opaque; the name is left to
// the caller. A second declaration of the same value only fills what the first left open.
// Throws Error{kModel} for unknown element types.
void take_value_info(onnx::ValueInfoProto& info, Value& value);

void put_value_info(const Value& value, onnx::ValueInfoProto& info);

}  // namespace qtool::onnx_detail
