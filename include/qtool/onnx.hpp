// ONNX layer: .onnx files and .pb tensors to Model and Tensor, and back without loss. The only layer
// that sees ONNX's and Protobuf's headers.
//
//   Model m = load_model("net.onnx");            // every byte checked before anything is allocated
//   save_model(m, "copy.onnx");                  // same names, doc strings, metadata, unknown fields
#pragma once

#include <filesystem>
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
enum class ExternalData { kWhenNeeded, kAlways };
void save_model(const Model& model, const std::filesystem::path& path,
                ExternalData external = ExternalData::kWhenNeeded);
std::string serialize_model(const Model& model);  // throws when > 2 GB
// ONNX text form (onnx/defs/parser.h), for tests: "<ir_version: 8, opset_import: ["": 17]> g (float[n] x) => (float[n] y) { y = Relu(x) }".
Model model_from_text(std::string_view text);

// A model at a newer opset (ai.onnx), by ONNX's version converter; names of values are kept.
Model convert_opset(const Model& model, int64_t target);
// Types and shapes of values filled in by ONNX's shape inference, as far as it can tell.
void infer_shapes(Model& model);
// ONNX's checker, full; throws Error{kModel} with its message.
void check_model(const Model& model);

// The operator's schema: does (type, domain) exist at this opset; is it defined by a function body.
enum class Schema { kUnknown, kPrimitive, kFunction };
Schema schema_of(const std::string& type, const std::string& domain, int64_t opset);

// TensorProto file, as in ONNX test sets. A sequence or optional is Error{kData, QT-E320}.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};
NamedTensor load_tensor_pb(const std::filesystem::path& path);

}  // namespace qtool
