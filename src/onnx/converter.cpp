#include "onnx/converter.hpp"

#include "onnx/inference.hpp"
#include "onnx/tensor_proto.hpp"
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

template <typename Visit>
void for_each_node(onnx::GraphProto& graph, const std::string& type, const Visit& visit) {
  for_each_graph(graph, [&](onnx::GraphProto& visited) {
    for (auto& node : *visited.mutable_node())
      if (node.op_type() == type && canonical_domain(node.domain()).empty()) visit(node);
  });
}

// Operators that changed their meaning where the converter only changes the number: the axis of
// Hardmax stopped to mean "flatten from here", Scan lost its batch.
void refuse_changed_operators(onnx::GraphProto& graph, int64_t from, int64_t to) {
  const auto refuse = [&](const std::string& type, int64_t changed_in) {
    if (from >= changed_in || to < changed_in) return;
    for_each_node(graph, type, [&](const onnx::NodeProto& node) {
      throw_unsupported(cat("node ", in_quotes(node.name()), " (", type, "): its meaning in opset ",
                            from, " cannot be expressed in opset ", to));
    });
  };
  refuse("Scan", 9);
  refuse("Hardmax", 13);
}

// A constant of the graph: an initializer or a Constant node's tensor; undefined when it is
// neither.
Tensor constant_named(const onnx::GraphProto& graph, const std::string& name) {
  for (const auto& tensor : graph.initializer()) {
    if (tensor.name() != name || tensor.data_location() != onnx::TensorProto::DEFAULT) continue;
    onnx::TensorProto copy = tensor;
    return take_tensor(copy, no_external_data());
  }
  for (const auto& node : graph.node()) {
    if (node.output_size() != 1 || node.output(0) != name || node.op_type() != "Constant") continue;
    for (const auto& attribute : node.attribute()) {
      if (attribute.name() != "value" || attribute.t().data_location() != 0) continue;
      onnx::TensorProto copy = attribute.t();
      return take_tensor(copy, no_external_data());
    }
  }
  return {};
}

// Opset 10 left open how the nearest pixel is found. As onnxruntime does it: the one before when an
// axis grows, the one behind when it shrinks.
std::string nearest_mode(const onnx::GraphProto& graph, const onnx::NodeProto& resize) {
  const Tensor scales = resize.input_size() > 2 ? constant_named(graph, resize.input(2)) : Tensor();
  bool grows = false, shrinks = false;
  for (int64_t i = 0; i < scales.size(); ++i) {
    grows = grows || scales.number(i) > 1;
    shrinks = shrinks || scales.number(i) < 1;
  }
  if (grows && shrinks)
    throw_unsupported(cat("node ", in_quotes(resize.name()),
                          " (Resize): one axis grows and another shrinks, which only opset 10 can "
                          "express for the nearest pixel"));
  return shrinks ? "ceil" : "floor";
}

// Before opset 11 pixels were mapped by their corners; the converter leaves the new default.
void complete_resize(onnx::GraphProto& graph, int64_t from, int64_t to) {
  if (from >= 11 || to < 11) return;
  const auto add = [](onnx::NodeProto& node, const char* name, const std::string& value) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::STRING);
    attribute.set_s(value);
  };
  for_each_graph(graph, [&](onnx::GraphProto& visited) {
    for (auto& node : *visited.mutable_node()) {
      if (node.op_type() != "Resize" || !canonical_domain(node.domain()).empty()) continue;
      bool linear = false;
      for (const auto& attribute : node.attribute())
        linear = linear || (attribute.name() == "mode" && attribute.s() != "nearest");
      add(node, "coordinate_transformation_mode", "asymmetric");
      if (!linear) add(node, "nearest_mode", nearest_mode(visited, node));
    }
  });
}

// The converter refuses LayerNormalization in models older than it, which onnxruntime's optimizers write with the
// meaning that ONNX gave it later. In a foreign domain it passes.
constexpr const char* kForeign = "qtool";
constexpr int64_t kLayerNormalization = 17;

void hide_normalizations(onnx::GraphProto& graph) {
  for_each_node(graph, "LayerNormalization",
                [](onnx::NodeProto& node) { node.set_domain(kForeign); });
}

void show_normalizations(onnx::GraphProto& graph) {
  for_each_graph(graph, [](onnx::GraphProto& visited) {
    for (auto& node : *visited.mutable_node())
      if (node.op_type() == "LayerNormalization" && node.domain() == kForeign) node.clear_domain();
  });
}

}  // namespace

onnx::ModelProto run_converter(onnx::ModelProto proto, int64_t from, int64_t to) {
  for (auto& entry : *proto.mutable_opset_import())
    entry.set_domain(canonical_domain(entry.domain()));
  refuse_changed_operators(*proto.mutable_graph(), from, to);
  try {
    infer_types(proto);
    const std::vector<int> outputs = pin_values(*proto.mutable_graph());
    if (from < kLayerNormalization) hide_normalizations(*proto.mutable_graph());
    const onnx::version_conversion::DefaultVersionConverter converter;
    proto = converter.convert_version(proto, onnx::OpSetID(from), onnx::OpSetID(to));
    show_normalizations(*proto.mutable_graph());
    unpin_values(*proto.mutable_graph(), outputs);
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kModel, "QT-E303",
                cat("the model cannot be converted from opset ", from, " to ", to, ": ",
                    printable(error.what(), 1000)))
        .hint(cat("export the model with opset ", to));
  }
  complete_resize(*proto.mutable_graph(), from, to);
  return proto;
}

}  // namespace qtool::onnx_detail
