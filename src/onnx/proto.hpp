// What all of this layer shares: ONNX's messages, and how fields that qtool does not model survive.
#pragma once

#include <string>

#include "onnx/onnx_pb.h"
#include "qtool/graph.hpp"

namespace qtool::onnx_detail {

// Serialized fields of a message after the known ones were taken out; "" when nothing is left.
inline std::string rest_of(const google::protobuf::MessageLite& message) {
  return message.SerializeAsString();
}

// Fills an empty message with what rest_of gave; known fields are then set over it.
void restore(const std::string& rest, google::protobuf::MessageLite& message);

// The default operator domain has two spellings in files, one in memory.
inline std::string canonical_domain(const std::string& domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

// The same error with its subject in front: "tensor 'w': it holds 3 bytes …".
Error about(const std::string& subject, const Error& error);

// "'name'", safe to print.
std::string in_quotes(std::string_view name);

}  // namespace qtool::onnx_detail
