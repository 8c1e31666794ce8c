#include <climits>

#include "onnx/checks.hpp"
#include "onnx/defs/parser.h"
#include "onnx/external_data.hpp"
#include "onnx/reader.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

using namespace onnx_detail;

void parse_message(std::string_view bytes, google::protobuf::MessageLite& proto) {
  if (bytes.size() > INT_MAX)
    throw Error(ErrorKind::kModel, "QT-E302",
                cat("the file has ", human_bytes(static_cast<double>(bytes.size())),
                    ", more than Protobuf's 2 GB"))
        .hint("export the model with its weights as external data");
  // ParseFromArray bounds the depth of messages (100) and with it every recursion below.
  if (proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const std::string kind = recognised_kind(bytes);
  throw Error(ErrorKind::kModel, "QT-E302",
              kind.empty() ? cat("the ", bytes.size(),
                                 " bytes cannot be read as an ONNX model: damaged, cut off or "
                                 "another format")
                           : cat("this is no ONNX model but ", kind))
      .hint("give the path of a complete .onnx file");
}

Model model_from_bytes(std::string_view bytes, const TensorSource& source) {
  onnx::ModelProto proto;
  parse_message(bytes, proto);
  Model model = read_model(proto, source);
  model.fingerprint = sha256_hex(bytes);
  return model;
}

[[noreturn]] void rethrow_for(Error error, const std::string& origin) {
  error.context(cat("while loading ", in_quotes(origin)));
  throw error;
}

}  // namespace

Model load_model(const std::filesystem::path& path) {
  try {
    const auto file = map_model_file(path);
    ExternalFolder folder(path.parent_path());
    Model model = model_from_bytes(
        file->bytes(), [&](const onnx::TensorProto& proto, DType type, const Shape& shape) {
          return folder.read(proto, type, shape);
        });
    model.path = path;
    model.file_bytes = static_cast<int64_t>(file->bytes().size()) + folder.file_bytes();
    if (!folder.record().empty())
      model.fingerprint = sha256_hex(model.fingerprint + '\n' + folder.record());
    return model;
  } catch (const Error& error) {
    rethrow_for(error, path.string());
  }
}

Model parse_model(std::string_view bytes, const std::string& origin) {
  try {
    if (bytes.empty()) throw_model("QT-E301", "there are no bytes");
    return model_from_bytes(bytes, no_external_data());
  } catch (const Error& error) {
    rethrow_for(error, origin);
  }
}

Model model_from_text(std::string_view text) {
  onnx::ModelProto proto;
  const auto status = onnx::OnnxParser::Parse(proto, text);
  if (!status.IsOK())
    throw_model("QT-E302", cat("ONNX text: ", printable(status.ErrorMessage(), 1000)));
  return model_from_bytes(proto.SerializeAsString(), no_external_data());
}

}  // namespace qtool
