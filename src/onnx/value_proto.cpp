// Files with one value, as in ONNX test sets: a tensor, a sequence, an optional.
#include <climits>

#include "google/protobuf/unknown_field_set.h"
#include "onnx/onnx-data.pb.h"
#include "onnx/tensor_proto.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

using namespace onnx_detail;

// ONNX's other containers share file names with tensors; their fields do not fit TensorProto.
bool is_sequence_or_optional(const onnx::TensorProto& proto, std::string_view bytes) {
  // Field 1 is text in a SequenceProto (its name) and a number in a TensorProto (a dimension).
  const bool starts_with_text = !bytes.empty() && bytes[0] == 0x0a;
  const auto& unknown = proto.GetReflection()->GetUnknownFields(proto);
  return starts_with_text || proto.has_segment() || !unknown.empty();
}

template <typename Proto>
bool parse(Proto& proto, std::string_view bytes) {
  return bytes.size() <= INT_MAX &&
         proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

[[noreturn]] void throw_unreadable(const char* what) {
  throw_data("QT-E401",
             cat("it cannot be read as an ONNX ", what, ": damaged, cut off or another format"));
}

NamedTensor tensor_from_bytes(std::string_view bytes) {
  onnx::TensorProto proto;
  const bool parsed = parse(proto, bytes);
  if ((!parsed && !bytes.empty() && bytes[0] == 0x0a) ||
      (parsed && is_sequence_or_optional(proto, bytes)))
    throw_data(std::string(kUnsupportedCode),
               "it holds a sequence or an optional value where a tensor is expected");
  if (!parsed) throw_unreadable("tensor");
  std::string name = proto.name();
  return {std::move(name), take_tensor(proto, no_external_data())};
}

Tensor take_sequence(onnx::SequenceProto& proto) {
  if (proto.sparse_tensor_values_size() + proto.sequence_values_size() + proto.map_values_size() +
          proto.optional_values_size() >
      0)
    throw_unsupported("sequences of anything but tensors are not supported");
  std::vector<Tensor> elements;
  for (auto& element : *proto.mutable_tensor_values())
    elements.push_back(take_tensor(element, no_external_data()));
  return Tensor::sequence(std::move(elements));
}

NamedTensor sequence_from_bytes(std::string_view bytes) {
  onnx::SequenceProto proto;
  if (!parse(proto, bytes)) throw_unreadable("sequence");
  return {proto.name(), take_sequence(proto)};
}

NamedTensor value_from_bytes(std::string_view bytes, const onnx::TypeProto& type);

// A file may also hold what is in the optional, bare.
NamedTensor optional_from_bytes(std::string_view bytes, const onnx::TypeProto& element) {
  onnx::OptionalProto proto;
  const bool whole = parse(proto, bytes) && proto.GetReflection()->GetUnknownFields(proto).empty();
  if (whole && proto.has_tensor_value())
    return {proto.name(), take_tensor(*proto.mutable_tensor_value(), no_external_data())};
  if (whole && proto.has_sequence_value())
    return {proto.name(), take_sequence(*proto.mutable_sequence_value())};
  if (whole && proto.elem_type() == onnx::OptionalProto::UNDEFINED)
    return {proto.name(), Tensor::nothing()};
  return value_from_bytes(bytes, element);
}

NamedTensor value_from_bytes(std::string_view bytes, const onnx::TypeProto& type) {
  switch (type.value_case()) {
    case onnx::TypeProto::kSequenceType:
      return sequence_from_bytes(bytes);
    case onnx::TypeProto::kOptionalType:
      return optional_from_bytes(bytes, type.optional_type().elem_type());
    case onnx::TypeProto::kMapType:
    case onnx::TypeProto::kSparseTensorType:
    case onnx::TypeProto::kOpaqueType:
      throw_unsupported("maps, sparse tensors and opaque values are not supported");
    default:
      return tensor_from_bytes(bytes);
  }
}

template <typename Read>
NamedTensor from_file(const std::filesystem::path& path, const Read& read) {
  try {
    return read(read_file(path, ErrorKind::kData));
  } catch (const Error& error) {
    // Tensors are checked as those of a model; here the file is data.
    const bool file_error = error.kind() != ErrorKind::kModel && error.kind() != ErrorKind::kData;
    Error result(file_error ? error.kind() : ErrorKind::kData, error.code(),
                 cat("tensor file ", in_quotes(path.string()), ": ", error.message()));
    throw result.hint(error.hint_text());
  }
}

}  // namespace

NamedTensor load_tensor_pb(const std::filesystem::path& path) {
  return from_file(path, tensor_from_bytes);
}

NamedTensor load_value_pb(const std::filesystem::path& path, const Value& declared) {
  onnx::ValueInfoProto info;
  restore(declared.opaque, info);
  return from_file(path,
                   [&](const std::string& bytes) { return value_from_bytes(bytes, info.type()); });
}

}  // namespace qtool
