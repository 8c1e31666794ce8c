// ONNX layer: .onnx files and .pb tensors to Model and Tensor, and back without loss. The only layer
// that sees ONNX's and Protobuf's headers.
//
//   Model m = load_model("net.onnx");            // every byte checked before anything is allocated
//   save_model(m, "copy.onnx");                  // same names, doc strings, metadata, unknown fields
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "qtool/graph.hpp"

namespace qtool {

// Reads a model. IR version 3 and newer, all tensor types, weights in Constant nodes stay there.
// External data is opened beneath the model's folder without following links and mapped.
// Throws Error{kModel} with file, node or tensor, reason.
Model load_model(const std::filesystem::path& path);
// The same from bytes; external data is refused.
Model parse_model(std::string_view bytes, const std::string& origin);

// Writes atomically (temporary name, rename). Above 2 GB, or when asked, weights go to `<name>.data` beside it.
// Returns the bytes of all that it wrote.
enum class ExternalData { kWhenNeeded, kAlways };
int64_t save_model(const Model& model, const std::filesystem::path& path,
                   ExternalData external = ExternalData::kWhenNeeded);
std::string serialize_model(const Model& model);  // throws when > 2 GB
// ONNX text form (onnx/defs/parser.h), for tests: "<ir_version: 8, opset_import: ["": 17]> g (float[n] x) => (float[n] y) { y = Relu(x) }".
Model model_from_text(std::string_view text);

// A model at a newer opset (ai.onnx), by ONNX's version converter; names of values are kept.
Model convert_opset(const Model& model, int64_t target);
// Types and shapes of values filled in by ONNX's shape inference, as far as it can tell.
void infer_shapes(Model& model);
// ONNX's checker, full; throws Error{kModel} with its message. Where the model that this one was made of has
// contradictory shapes itself, which runtimes may not mind, all but the shapes is checked.
void check_model(const Model& model, const Model* made_of = nullptr);

// The model with calls of its own functions replaced by their bodies; the functions are gone.
// Throws Error{kModel, QT-E303} when a body cannot be brought to the model's opset.
Model inline_functions(const Model& model);
// What ONNX defines an operator to be in terms of others, for one node of model.graph: a graph with the
// operator's inputs, and those outputs that the node names. It may depend on the types of the node's inputs,
// so run infer_shapes before. Absent when ONNX defines none.
struct FunctionBody {
  Graph graph;
  std::map<std::string, int64_t> opsets;  // that its nodes are written for
};
std::optional<FunctionBody> function_body(const Model& model, const Node& node);

// Operators of a domain at its newest opset, sorted, without deprecated ones.
struct SchemaList {
  int64_t opset = 0;
  std::vector<std::string> types;
};
SchemaList list_schemas(const std::string& domain);

// The operator's schema: does (type, domain) exist at this opset; is it defined by a function body.
enum class Schema { kUnknown, kPrimitive, kFunction };
Schema schema_of(const std::string& type, const std::string& domain, int64_t opset);

// TensorProto file, as in ONNX test sets. A sequence or optional is Error{kData, QT-E320}.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};
NamedTensor load_tensor_pb(const std::filesystem::path& path);
// The same for a file that holds a value of this declaration: a tensor, a sequence or an optional.
NamedTensor load_value_pb(const std::filesystem::path& path, const Value& declared);

}  // namespace qtool
