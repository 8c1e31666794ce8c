// AttributeProto ↔ Attribute.
#pragma once

#include <functional>

#include "onnx/tensor_proto.hpp"

namespace qtool::onnx_detail {

using GraphTaker = std::function<std::shared_ptr<const Graph>(onnx::GraphProto&)>;
using GraphPutter = std::function<void(const Graph&, onnx::GraphProto&)>;

// Throws Error{kModel, QT-E312} when the type and the field that is set disagree, when there are
// several values, or for a reference to a function's attribute outside of a function.
Attribute take_attribute(onnx::AttributeProto& proto, const TensorSource& source,
                         const GraphTaker& take_graph);

void put_attribute(const Attribute& attribute, onnx::AttributeProto& proto, const TensorSink& sink,
                   const GraphPutter& put_graph);

}  // namespace qtool::onnx_detail
