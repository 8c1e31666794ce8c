#include "onnx/writer.hpp"

#include <set>

#include "onnx/attribute_proto.hpp"
#include "onnx/sparse.hpp"
#include "onnx/value_info.hpp"

namespace qtool::onnx_detail {
namespace {

void put_graph(const Graph& graph, onnx::GraphProto& proto, const WriteOptions& options);

void put_node(const Graph& graph, const Node& node, onnx::NodeProto& proto,
              const WriteOptions& options) {
  restore(node.opaque, proto);
  const auto name_of = [&](ValueId id) {
    return id == ValueId::kNone ? std::string() : graph.value(id).name;
  };
  for (const ValueId id : node.inputs) proto.add_input(name_of(id));
  for (const ValueId id : node.outputs) proto.add_output(name_of(id));
  proto.set_name(node.name);
  proto.set_op_type(node.type);
  if (canonical_domain(proto.domain()) != node.domain) proto.set_domain(node.domain);
  const GraphPutter put_inner = [&](const Graph& inner, onnx::GraphProto& out) {
    put_graph(inner, out, options);
  };
  for (const Attribute& attribute : node.attributes)
    put_attribute(attribute, *proto.add_attribute(), options.sink, put_inner);
}

void put_initializer(const std::string& name, const Initializer& initializer,
                     onnx::GraphProto& proto, const WriteOptions& options) {
  if (!initializer.opaque.empty() && options.sparse == SparseWeights::kAsRead) {
    if (auto sparse = sparse_form(initializer)) {
      sparse->mutable_values()->set_name(name);
      *proto.add_sparse_initializer() = std::move(*sparse);
      return;
    }
  }
  auto& tensor = *proto.add_initializer();
  restore(without_sparse_form(initializer.opaque), tensor);
  tensor.set_name(name);
  put_tensor(initializer.data, tensor, options.sink);
}

void put_declarations(const Graph& graph, onnx::GraphProto& proto) {
  std::set<ValueId> listed;
  for (const ValueId id : graph.inputs) {
    put_value_info(graph.value(id), *proto.add_input());
    listed.insert(id);
  }
  for (const ValueId id : graph.outputs) {
    put_value_info(graph.value(id), *proto.add_output());
    listed.insert(id);
  }
  for (size_t i = 0; i < graph.values.size(); ++i)
    if (graph.values[i].declared && !listed.count(static_cast<ValueId>(i)))
      put_value_info(graph.values[i], *proto.add_value_info());
}

void put_graph(const Graph& graph, onnx::GraphProto& proto, const WriteOptions& options) {
  restore(graph.opaque, proto);
  if (!graph.name.empty()) proto.set_name(graph.name);
  put_declarations(graph, proto);
  for (const Node& node : graph.nodes) put_node(graph, node, *proto.add_node(), options);
  for (const auto& [id, initializer] : graph.initializers)
    put_initializer(graph.value(id).name, initializer, proto, options);
}

// The rest holds the imports as they were read; versions follow the model, new domains are
// appended.
void put_opsets(const Model& model, onnx::ModelProto& proto) {
  auto missing = model.opsets;
  google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> kept;
  for (const auto& entry : proto.opset_import()) {
    const auto found = missing.find(canonical_domain(entry.domain()));
    if (found == missing.end()) continue;
    auto& copy = *kept.Add();
    copy = entry;
    copy.set_version(found->second);
    missing.erase(found);
  }
  for (const auto& [domain, version] : missing) {
    auto& entry = *kept.Add();
    entry.set_domain(domain);
    entry.set_version(version);
  }
  proto.mutable_opset_import()->Swap(&kept);
}

}  // namespace

onnx::NodeProto write_node(const Graph& graph, const Node& node) {
  onnx::NodeProto proto;
  put_node(graph, node, proto, {});
  return proto;
}

onnx::ModelProto write_model(const Model& model, const WriteOptions& options) {
  onnx::ModelProto proto;
  restore(model.opaque, proto);
  proto.set_ir_version(model.ir_version);
  put_opsets(model, proto);
  for (const auto& [key, value] : model.metadata) {
    auto& entry = *proto.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  put_graph(model.graph, *proto.mutable_graph(), options);
  return proto;
}

int64_t weight_bytes(const Graph& graph) {
  int64_t total = 0;
  for (const auto& [id, initializer] : graph.initializers) total += initializer.data.bytes();
  for (const Node& node : graph.nodes) {
    for (const Attribute& attribute : node.attributes) {
      if (const auto* tensor = std::get_if<Tensor>(&attribute.value)) total += tensor->bytes();
      if (const auto* inner = std::get_if<std::shared_ptr<const Graph>>(&attribute.value))
        total += weight_bytes(**inner);
    }
  }
  return total;
}

}  // namespace qtool::onnx_detail
