// GraphProto → Graph, with the graphs inside attributes.
#pragma once

#include <map>
#include <string>

#include "onnx/tensor_proto.hpp"

namespace qtool::onnx_detail {

// What is the same for all graphs of a model.
struct ReadContext {
  const TensorSource& source;
  const std::map<std::string, int64_t>& opsets;
};

// The graph in topological order, checked: unique value names, no dangling inputs, no cycles; every
// node named. Throws Error{kModel, QT-E330} and what tensors and attributes throw.
Graph read_graph(onnx::GraphProto& proto, const ReadContext& context);

}  // namespace qtool::onnx_detail
