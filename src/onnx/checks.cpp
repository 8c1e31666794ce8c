#include "onnx/checks.hpp"

#include "onnx/defs/schema.h"

namespace qtool::onnx_detail {
namespace {

// Newest version of a domain in the ONNX library; 0 for domains that are not ONNX's own.
int64_t newest_opset(const std::string& domain) {
  static const onnx::OpSchemaRegistry::DomainToVersionRange known;
  const auto found = known.Map().find(domain);
  return found == known.Map().end() ? 0 : found->second.second;
}

std::string domain_text(const std::string& domain) {
  return domain.empty() ? "ai.onnx" : printable(domain);
}

}  // namespace

void check_versions(const onnx::ModelProto& proto) {
  const int64_t version = proto.ir_version(), newest = onnx::Version::IR_VERSION;
  if (!proto.has_ir_version() || version == 0)
    throw Error(ErrorKind::kModel, "QT-E303",
                "the file names no IR version, so it is not an ONNX model")
        .hint("give the path of an .onnx file");
  if (version > newest)
    throw Error(ErrorKind::kModel, "QT-E303",
                cat("the model's IR version is ", version, ", the newest known one is ", newest))
        .hint("export the model with an older IR version, or use a newer qtool");
  if (version < kOldestIrVersion)
    throw Error(ErrorKind::kModel, "QT-E303",
                cat("the model's IR version is ", version, ", the oldest supported one is ",
                    kOldestIrVersion))
        .hint("export the model again with a current exporter");
  if (!proto.has_graph()) throw_model("QT-E330", "the model has no graph");
  if (proto.graph().output_size() == 0) throw_model("QT-E330", "the graph has no outputs");
  if (proto.opset_import_size() == 0)
    throw Error(ErrorKind::kModel, "QT-E303",
                "the model imports no operator set (opset_import is missing)")
        .hint("export the model again; every ONNX model must name its opset");
}

std::map<std::string, int64_t> opsets_of(const onnx::ModelProto& proto) {
  std::map<std::string, int64_t> opsets;
  for (const auto& entry : proto.opset_import()) {
    const std::string domain = canonical_domain(entry.domain());
    if (!opsets.emplace(domain, entry.version()).second)
      throw_model("QT-E303",
                  cat("the opset of domain '", domain_text(domain), "' is imported twice"));
    const int64_t newest = newest_opset(domain);
    if (entry.version() < 1)
      throw_model("QT-E303", cat("opset ", entry.version(), " of domain '", domain_text(domain),
                                 "' does not exist"));
    if (newest > 0 && entry.version() > newest)
      throw Error(ErrorKind::kModel, "QT-E303",
                  cat("opset ", entry.version(), " of domain '", domain_text(domain),
                      "' is newer than the newest known one, ", newest))
          .hint("export the model with an older opset, or use a newer qtool");
  }
  return opsets;
}

std::string recognised_kind(std::string_view bytes) {
  const auto has = [&](size_t offset, std::string_view magic) {
    return bytes.size() >= offset && bytes.substr(offset, magic.size()) == magic;
  };
  const auto starts = [&](std::string_view magic) { return has(0, magic); };
  if (starts("\x1f\x8b")) return "a gzip archive; unpack it first";
  if (starts("PK\x03\x04")) return "a zip archive (a PyTorch or NumPy file, perhaps)";
  if (starts("\x28\xb5\x2f\xfd")) return "a zstd archive; unpack it first";
  if (starts("\x93NUMPY")) return "a NumPy array";
  if (starts("\x89HDF")) return "an HDF5 file";
  if (has(4, "ORTM")) return "a model in onnxruntime's own format";
  if (has(4, "TFL3")) return "a TensorFlow Lite model";
  if (starts("version https://git-lfs"))
    return "a Git LFS pointer; fetch the file itself with 'git lfs pull'";
  if (starts("<") || starts("{")) return "text";
  return "";
}

}  // namespace qtool::onnx_detail
