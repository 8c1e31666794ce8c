// TensorProto ↔ Tensor: every element type, raw bytes or typed fields, bytes kept elsewhere.
#pragma once

#include <functional>

#include "onnx/proto.hpp"

namespace qtool::onnx_detail {

// Gives the bytes of a tensor whose message only says where they are (data_location = EXTERNAL).
using TensorSource =
    std::function<Tensor(const onnx::TensorProto& proto, DType type, const Shape& shape)>;

// Puts a tensor's bytes somewhere else and says so in the message; false: they belong in the
// message.
using TensorSink = std::function<bool(const Tensor& tensor, onnx::TensorProto& proto)>;

// A source for messages that must be complete by themselves.
TensorSource no_external_data();

// The tensor of a message, checked before anything is allocated: known type, dimensions, exactly
// one place of the data, its size. Takes dims, type and data out of `proto` (raw bytes are moved,
// not copied); what stays is the rest to keep. Throws Error{kModel}: QT-E310 tensor, QT-E311
// external data, QT-E320 type or segment, QT-E340 size.
Tensor take_tensor(onnx::TensorProto& proto, const TensorSource& source);

// Sets dims, type and data.
void put_tensor(const Tensor& tensor, onnx::TensorProto& proto, const TensorSink& sink);

// The element type of a message field. Throws Error{kModel} for codes that ONNX or qtool does not
// know.
DType dtype_from_proto(int code);

}  // namespace qtool::onnx_detail
