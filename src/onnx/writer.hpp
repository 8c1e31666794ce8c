// Model → ModelProto.
#pragma once

#include "onnx/tensor_proto.hpp"

namespace qtool::onnx_detail {

enum class SparseWeights { kAsRead, kDense };

struct WriteOptions {
  TensorSink sink;  // where tensors go instead of into the message; empty: nowhere
  SparseWeights sparse = SparseWeights::kAsRead;
};

onnx::ModelProto write_model(const Model& model, const WriteOptions& options = {});

// One node with everything in its attributes.
onnx::NodeProto write_node(const Graph& graph, const Node& node);

// Bytes of all initializers, those of graphs inside attributes too.
int64_t weight_bytes(const Graph& graph);

}  // namespace qtool::onnx_detail
