#include "onnx/inference.hpp"

#include <unordered_map>

#include "onnx/external_data.hpp"
#include "onnx/shape_inference/implementation.h"
#include "onnx/value_info.hpp"
#include "onnx/writer.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace onnx_detail {

void infer_types(onnx::ModelProto& proto) {
  const onnx::ShapeInferenceOptions options(false, 0, true);
  onnx::shape_inference::DataValueMap known_values;
  try {
    onnx::shape_inference::InferShapes(proto, onnx::OpSchemaRegistry::Instance(), options,
                                       &known_values);
  } catch (const std::exception& error) {
    // What was inferred before stays in the message.
    log(LogLevel::kDebug, cat("shape inference stopped: ", printable(error.what(), 1000)));
  }
}

}  // namespace onnx_detail

namespace {

using namespace onnx_detail;

constexpr int64_t kStubBytes = 4096;

// Names that inference invents for unknown dimensions ("unk__3") say nothing about the model.
bool is_invented(const std::string& symbol) { return symbol.rfind("unk__", 0) == 0; }

void merge_shape(const Value& inferred, Value& value) {
  if (!inferred.shape) return;
  const Shape& found = *inferred.shape;
  if (!value.shape) {
    value.shape = Shape(found.size(), -1);
    value.symbols.clear();
  }
  Shape& shape = *value.shape;
  if (shape.size() != found.size()) return;
  for (size_t i = 0; i < shape.size(); ++i) {
    const std::string symbol = i < inferred.symbols.size() ? inferred.symbols[i] : "";
    const bool named = i < value.symbols.size() && !value.symbols[i].empty();
    if (shape[i] < 0 && found[i] >= 0) {
      shape[i] = found[i];
      if (named) value.symbols[i].clear();
    } else if (shape[i] < 0 && !named && !symbol.empty() && !is_invented(symbol)) {
      value.symbols.resize(shape.size());
      value.symbols[i] = symbol;
    }
  }
}

Value inferred_value(onnx::ValueInfoProto info) {
  Value value;
  try {
    take_value_info(info, value);
  } catch (const Error& error) {
    // An element type that qtool does not have: nothing is known, then.
    log(LogLevel::kDebug, cat("shape inference: ", error.message()));
    return {};
  }
  return value;
}

void merge_values(const google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& infos,
                  const std::unordered_map<std::string, ValueId>& ids, Graph& graph) {
  for (const auto& info : infos) {
    const auto found = ids.find(info.name());
    if (found == ids.end()) continue;
    const Value inferred = inferred_value(info);
    Value& value = graph.value(found->second);
    // Sequences and optionals have their type there.
    if (value.dtype == DType::kUndefined && value.opaque.empty()) value.opaque = inferred.opaque;
    if (value.dtype == DType::kUndefined) value.dtype = inferred.dtype;
    if (value.dtype == inferred.dtype) merge_shape(inferred, value);
  }
}

// Nodes of `proto` are those of `graph`, in the same order.
void merge_graph(const onnx::GraphProto& proto, Graph& graph) {
  std::unordered_map<std::string, ValueId> ids;
  for (size_t i = 0; i < graph.values.size(); ++i)
    ids.emplace(graph.values[i].name, static_cast<ValueId>(i));
  merge_values(proto.value_info(), ids, graph);
  merge_values(proto.output(), ids, graph);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    auto& attributes = graph.nodes[i].attributes;
    for (size_t k = 0; k < attributes.size(); ++k) {
      auto* inner = std::get_if<std::shared_ptr<const Graph>>(&attributes[k].value);
      if (!inner) continue;
      Graph copy = **inner;
      merge_graph(proto.node(static_cast<int>(i)).attribute(static_cast<int>(k)).g(), copy);
      *inner = std::make_shared<const Graph>(std::move(copy));
    }
  }
}

}  // namespace

void infer_shapes(Model& model) {
  TensorStubs stubs(kStubBytes);
  onnx::ModelProto proto = write_model(model, {stubs.sink(), SparseWeights::kAsRead});
  infer_types(proto);
  merge_graph(proto.graph(), model.graph);
}

}  // namespace qtool
