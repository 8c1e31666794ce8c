#include <algorithm>
#include <unordered_map>

#include "onnx/checks.hpp"

namespace qtool::onnx_detail {
namespace {

constexpr int kMaxCallDepth = 64;
constexpr double kMaxExpandedNodes = 1e7;

std::string key_of(const std::string& domain, const std::string& name,
                   const std::string& overload) {
  // NUL keeps the parts apart whatever they contain.
  return canonical_domain(domain) + '\0' + name + '\0' + overload;
}

// Nodes with all calls expanded, and how deep the calls go.
struct Extent {
  double nodes = 0;
  int depth = 0;
};

class FunctionExtents {
 public:
  explicit FunctionExtents(const onnx::ModelProto& proto) {
    for (const auto& function : proto.functions()) {
      const std::string key = key_of(function.domain(), function.name(), function.overload());
      if (!functions_.emplace(key, &function).second)
        throw_model("QT-E330", cat("function ", in_quotes(function.name()), " is defined twice"));
    }
  }

  // Of a list of nodes that is reached through `depth` calls, graphs inside attributes included.
  Extent of(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes, int depth) {
    Extent total;
    for (const auto& node : nodes) {
      total.nodes += 1;
      for (const auto& attribute : node.attribute()) {
        if (attribute.has_g()) add(total, of(attribute.g().node(), depth), 0);
        for (const auto& graph : attribute.graphs()) add(total, of(graph.node(), depth), 0);
      }
      const auto callee = functions_.find(key_of(node.domain(), node.op_type(), node.overload()));
      if (callee != functions_.end())
        add(total, of_body(callee->first, *callee->second, depth + 1), 1);
    }
    if (depth + total.depth > kMaxCallDepth) fail_depth();
    return total;
  }

 private:
  [[noreturn]] static void fail_depth() {
    throw_model("QT-E330", cat("a function calls itself, or functions call each other more than ",
                               kMaxCallDepth, " deep"));
  }

  static void add(Extent& total, const Extent& more, int calls) {
    total.nodes += more.nodes;
    total.depth = std::max(total.depth, more.depth + calls);
  }

  Extent of_body(const std::string& key, const onnx::FunctionProto& function, int depth) {
    const auto known = extents_.find(key);
    if (known != extents_.end()) return known->second;
    if (depth > kMaxCallDepth) fail_depth();
    const Extent extent = of(function.node(), depth);
    extents_.emplace(key, extent);
    return extent;
  }

  std::unordered_map<std::string, const onnx::FunctionProto*> functions_;
  std::unordered_map<std::string, Extent> extents_;
};

}  // namespace

void check_functions(const onnx::ModelProto& proto) {
  if (proto.functions_size() == 0) return;
  FunctionExtents extents(proto);
  double nodes = extents.of(proto.graph().node(), 0).nodes;
  for (const auto& function : proto.functions())
    nodes = std::max(nodes, extents.of(function.node(), 0).nodes);
  if (nodes > kMaxExpandedNodes)
    throw_model("QT-E340",
                cat("the model's functions come to more than ", fixed(kMaxExpandedNodes, 0),
                    " nodes when their calls are expanded"));
}

}  // namespace qtool::onnx_detail
