#include "onnx/proto.hpp"

namespace qtool::onnx_detail {

void restore(const std::string& rest, google::protobuf::MessageLite& message) {
  if (!rest.empty() && !message.ParseFromString(rest))
    throw_internal("stored fields of an ONNX message cannot be read back");
}

Error about(const std::string& subject, const Error& error) {
  Error result(error.kind(), error.code(), cat(subject, ": ", error.message()));
  result.hint(error.hint_text());
  for (const std::string& line : error.context_lines()) result.context(line);
  return result;
}

std::string in_quotes(std::string_view name) { return cat("'", printable(name), "'"); }

}  // namespace qtool::onnx_detail
