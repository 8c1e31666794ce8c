// External data: weights that lie in files beside the model.
#pragma once

#include <map>

#include "onnx/files.hpp"
#include "onnx/tensor_proto.hpp"

namespace qtool::onnx_detail {

// Reads external data beneath one folder: each file is mapped once and tensors are views into it.
class ExternalFolder {
 public:
  explicit ExternalFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  // Throws Error{kModel, QT-E311}: location, offset or length malformed, past the end, wrong size.
  Tensor read(const onnx::TensorProto& proto, DType type, const Shape& shape);
  // What was read so far, in order: file, offset, length and a hash of the bytes; "" when nothing
  // was.
  const std::string& record() const { return record_; }
  // Of the files that were read from, whole.
  int64_t file_bytes() const;

 private:
  std::filesystem::path folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
  std::string record_;
};

// Appends tensors to a data file and points messages at it. Tensors below kMinExternalBytes stay in
// the message, as other tools do: shapes and scalars must be readable without the data file.
inline constexpr int64_t kMinExternalBytes = 1024;
TensorSink external_sink(PendingFile& data, std::string location);

// Keeps large tensors out of messages that only pass through the ONNX library.
class TensorStubs {
 public:
  explicit TensorStubs(int64_t min_bytes) : min_bytes_(min_bytes) {}
  TensorSink sink();
  TensorSource source() const;

 private:
  int64_t min_bytes_;
  std::vector<Tensor> tensors_;
};

}  // namespace qtool::onnx_detail
