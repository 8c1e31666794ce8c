#include "onnx/defs/schema.h"

#include "onnx/checker.h"
#include "onnx/writer.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

using namespace onnx_detail;

// Weights from this size on are shown to the checker by type and shape alone.
constexpr int64_t kLargeWeight = int64_t{1} << 20;

// Large initializers become plain inputs: everything but their bytes is still checked, none is
// copied.
Model without_large_weights(const Model& model) {
  Model light = model;
  Graph& graph = light.graph;
  for (const auto& [id, initializer] : model.graph.initializers) {
    if (initializer.data.bytes() < kLargeWeight) continue;
    graph.initializers.erase(id);
    graph.value(id).dtype = initializer.data.dtype();
    graph.value(id).shape = initializer.data.shape();
    if (std::find(graph.inputs.begin(), graph.inputs.end(), id) == graph.inputs.end())
      graph.inputs.push_back(id);
  }
  return light;
}

// The checker wants a shape for every input and output, although one of unknown rank has none. Those get some
// shape; true when there are any, so that no inference may rely on it.
bool fill_unknown_shapes(onnx::GraphProto& graph) {
  bool any = false;
  for (auto* const list : {graph.mutable_input(), graph.mutable_output()}) {
    for (auto& info : *list) {
      if (!info.type().has_tensor_type() || info.type().tensor_type().has_shape()) continue;
      info.mutable_type()->mutable_tensor_type()->mutable_shape();
      any = true;
    }
  }
  return any;
}

void check(const Model& model, bool shapes) {
  onnx::ModelProto proto = write_model(without_large_weights(model));
  const bool unknown = fill_unknown_shapes(*proto.mutable_graph());
  onnx::checker::check_model(proto, shapes && !unknown);
}

bool contradicts_itself(const Model& model) {
  try {
    check(model, true);
    return false;
  } catch (const std::exception&) {
    return true;
  }
}

}  // namespace

void check_model(const Model& model, const Model* made_of) {
  try {
    try {
      check(model, true);
    } catch (const std::exception&) {
      if (!made_of || !contradicts_itself(*made_of)) throw;
      check(model, false);
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kModel, "QT-E330",
                cat("ONNX's checker: ", printable(error.what(), 2000)));
  }
}

SchemaList list_schemas(const std::string& domain) {
  SchemaList list;
  for (const onnx::OpSchema& schema : onnx::OpSchemaRegistry::get_all_schemas()) {
    if (schema.domain() != domain) continue;
    list.opset = std::max<int64_t>(list.opset, schema.since_version());
    if (!schema.Deprecated()) list.types.push_back(schema.Name());
  }
  std::sort(list.types.begin(), list.types.end());
  return list;
}

Schema schema_of(const std::string& type, const std::string& domain, int64_t opset) {
  const auto* schema = onnx::OpSchemaRegistry::Schema(
      type, static_cast<int>(std::min<int64_t>(opset, INT32_MAX)), domain);
  if (!schema || schema->Deprecated()) return Schema::kUnknown;
  return schema->HasFunction() || schema->HasContextDependentFunction() ? Schema::kFunction
                                                                        : Schema::kPrimitive;
}

}  // namespace qtool
