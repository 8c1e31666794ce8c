// Sparse weights: dense in memory, sparse again in the file as long as nobody changed them.
#pragma once

#include "onnx/tensor_proto.hpp"

namespace qtool::onnx_detail {

// The dense initializer; its `opaque` also carries the sparse message. The name is values.name.
// Throws Error{kModel}: QT-E310 for indices out of range or of another count, QT-E340 for size.
Initializer take_sparse(const onnx::SparseTensorProto& proto, const TensorSource& source);

// The sparse message that `initializer` came from, when its data is still the same.
std::optional<onnx::SparseTensorProto> sparse_form(const Initializer& initializer);

// What belongs into the dense message.
std::string without_sparse_form(const std::string& opaque);

}  // namespace qtool::onnx_detail
