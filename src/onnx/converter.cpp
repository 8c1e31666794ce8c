#include "onnx/converter.hpp"

#include "onnx/inference.hpp"
#include "onnx/inliner/inliner.h"
#include "onnx/version_converter/convert.h"

namespace qtool::onnx_detail {
namespace {

// Visits a graph and all graphs inside its attributes, outermost first.
template <typename Visit>
void for_each_graph(onnx::GraphProto& graph, const Visit& visit) {
  visit(graph);
  for (auto& node : *graph.mutable_node()) {
    for (auto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) for_each_graph(*attribute.mutable_g(), visit);
      for (auto& inner : *attribute.mutable_graphs()) for_each_graph(inner, visit);
    }
  }
}

// The converter renames values of nodes that it replaces, except graph outputs. So all are outputs
// while it runs. Returns how many each graph had.
std::vector<int> pin_values(onnx::GraphProto& graph) {
  std::vector<int> counts;
  for_each_graph(graph, [&](onnx::GraphProto& visited) {
    counts.push_back(visited.output_size());
    for (const auto& node : visited.node())
      for (const std::string& output : node.output())
        if (!output.empty()) visited.add_output()->set_name(output);
  });
  return counts;
}

// The converter adds no graphs and keeps their order.
void unpin_values(onnx::GraphProto& graph, const std::vector<int>& counts) {
  size_t next = 0;
  for_each_graph(graph, [&](onnx::GraphProto& visited) {
    const int count = counts.at(next++);
    visited.mutable_output()->DeleteSubrange(count, visited.output_size() - count);
  });
}

}  // namespace

onnx::ModelProto run_converter(onnx::ModelProto proto, int64_t from, int64_t to) {
  for (auto& entry : *proto.mutable_opset_import())
    entry.set_domain(canonical_domain(entry.domain()));
  try {
    if (proto.functions_size() > 0) onnx::inliner::InlineLocalFunctions(proto, true);
    infer_types(proto);
    const std::vector<int> outputs = pin_values(*proto.mutable_graph());
    const onnx::version_conversion::DefaultVersionConverter converter;
    proto = converter.convert_version(proto, onnx::OpSetID(from), onnx::OpSetID(to));
    unpin_values(*proto.mutable_graph(), outputs);
    return proto;
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kModel, "QT-E303",
                cat("the model cannot be converted from opset ", from, " to ", to, ": ",
                    printable(error.what(), 1000)))
        .hint(cat("export the model with opset ", to));
  }
}

}  // namespace qtool::onnx_detail
