// What a model must have before its graph is read.
#pragma once

#include <map>

#include "onnx/proto.hpp"

namespace qtool::onnx_detail {

inline constexpr int64_t kOldestIrVersion = 3;

// IR version, opset imports, a graph with outputs. Throws Error{kModel}: QT-E303 versions, QT-E330
// graph.
void check_versions(const onnx::ModelProto& proto);

// The model's functions call each other to a small depth, and what they come to when every call is
// replaced by its body is bounded: others walk through it. Throws Error{kModel}: QT-E330 functions
// that are doubled or call themselves, QT-E340 size.
void check_functions(const onnx::ModelProto& proto);

// domain → version, with "ai.onnx" as "". Throws Error{kModel, QT-E303} when a domain is listed
// twice or its version is newer than any that is known.
std::map<std::string, int64_t> opsets_of(const onnx::ModelProto& proto);

// What bytes that are no ONNX model seem to be ("a gzip archive"), or "".
std::string recognised_kind(std::string_view bytes);

}  // namespace qtool::onnx_detail
