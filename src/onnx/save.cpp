#include <climits>

#include "onnx/external_data.hpp"
#include "onnx/writer.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

using namespace onnx_detail;

// Room for everything but weights below Protobuf's limit of 2 GB.
constexpr int64_t kMaxInlineBytes = int64_t{1900} << 20;

std::string serialize(const onnx::ModelProto& proto) {
  const size_t bytes = proto.ByteSizeLong();
  if (bytes > INT_MAX)
    throw Error(ErrorKind::kModel, "QT-E340",
                cat("the model takes ", human_bytes(static_cast<double>(bytes)),
                    ", more than Protobuf's 2 GB"))
        .hint("save it with external data");
  return proto.SerializeAsString();
}

// Both files or none: the data gets its name first, and loses it again when the model cannot
// follow.
int64_t save_with_data(const Model& model, const std::filesystem::path& path) {
  std::filesystem::path data_path = path;
  data_path += ".data";
  PendingFile data(data_path);
  const std::string bytes =
      serialize(write_model(model, {external_sink(data, data_path.filename().string())}));
  data.commit();
  write_file_atomic(path, bytes);
  data.keep();
  return data.size() + static_cast<int64_t>(bytes.size());
}

}  // namespace

int64_t save_model(const Model& model, const std::filesystem::path& path, ExternalData external) {
  const bool outside =
      external == ExternalData::kAlways || weight_bytes(model.graph) > kMaxInlineBytes;
  if (outside) return save_with_data(model, path);
  const std::string bytes = serialize_model(model);
  write_file_atomic(path, bytes);
  return static_cast<int64_t>(bytes.size());
}

std::string serialize_model(const Model& model) { return serialize(write_model(model)); }

}  // namespace qtool
