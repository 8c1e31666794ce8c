// Operators of com.microsoft as graphs of ONNX's: what the files of one list share.
#pragma once

#include "passes/passes.hpp"
#include "qtool/onnx.hpp"

namespace qtool::passes::contrib {

struct Context {
  const Model& model;
  const Node& node;
  bool has(size_t i) const { return i < node.inputs.size() && node.inputs[i] != ValueId::kNone; }
  bool makes(size_t i) const {
    return i < node.outputs.size() && node.outputs[i] != ValueId::kNone;
  }
  const std::optional<Shape>& shape(size_t i) const {
    return model.graph.value(node.inputs[i]).shape;
  }
};

// `inputs` of the operator, all its outputs that are named, constants, nodes.
Graph graph_of(const Context& c, const std::string& inputs, const std::string& outputs,
               const std::string& constants, const std::string& nodes);

// As text that graph_of() reads back as the same number.
std::string exact(float number);

// s → n: the root mean square of the last axis is 1, its mean 0 where `centred`.
std::string normalized(const Context& c, bool centred);
// What normalized() needs.
std::string normalization_constants(const Context& c, float epsilon);

// The operator as a graph; nullopt: this form of it has none here.
std::optional<Graph> fused_conv(const Context& c);
std::optional<Graph> fused_matmul(const Context& c);
std::optional<Graph> fused_gemm(const Context& c);
std::optional<Graph> dynamic_product(const Context& c);
std::optional<Graph> product_of_codes(const Context& c);
std::optional<Graph> quantize(const Context& c);
std::optional<Graph> dequantize(const Context& c);
std::optional<Graph> sigmoid_of_codes(const Context& c);
std::optional<Graph> leaky_relu_of_codes(const Context& c);
std::optional<Graph> softmax_of_codes(const Context& c);
std::optional<Graph> attention(const Context& c);
std::optional<Graph> multi_head_attention(const Context& c);
std::optional<Graph> embeddings(const Context& c);

}  // namespace qtool::passes::contrib
