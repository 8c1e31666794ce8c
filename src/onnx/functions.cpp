// Functions: a model's own, and those by which ONNX defines operators.
#include <algorithm>
#include <map>
#include <tuple>

#include "onnx/common/visitor.h"
#include "onnx/defs/schema.h"
#include "onnx/external_data.hpp"
#include "onnx/graph_reader.hpp"
#include "onnx/inliner/inliner.h"
#include "onnx/shape_inference/attribute_binder.h"
#include "onnx/value_info.hpp"
#include "onnx/writer.hpp"
#include "qtool/onnx.hpp"

namespace qtool {

namespace {

using namespace onnx_detail;

constexpr int64_t kStubBytes = 4096;

onnx::TypeProto type_of(const Graph& graph, ValueId id) {
  if (id == ValueId::kNone) return {};
  onnx::ValueInfoProto info;
  Value value = graph.value(id);
  if (const Tensor* constant = graph.constant(id)) {
    value.dtype = constant->dtype();
    value.shape = constant->shape();
  }
  put_value_info(value, info);
  return info.type();
}

// The call with the operator's default attributes spelled out, which a function's body may refer to.
onnx::NodeProto call_of(const Graph& graph, const Node& node, const onnx::OpSchema& schema) {
  onnx::NodeProto call = write_node(graph, node);
  for (const auto& [name, attribute] : schema.attributes()) {
    if (find_attribute(node, name) || attribute.default_value.name().empty()) continue;
    *call.add_attribute() = attribute.default_value;
  }
  return call;
}

// The newest of the versions that is not newer than `opset`.
int64_t version_at(const std::vector<int>& versions, int64_t opset) {
  int64_t found = opset;
  for (const int version : versions)
    if (version <= opset) found = version;
  return found;
}

// Calls get the default attributes of their functions spelled out: ONNX's inliner does not know those.
class Defaults : public onnx::internal::MutableVisitor {
 public:
  explicit Defaults(const onnx::ModelProto& rest) {
    for (const auto& function : rest.functions())
      functions_[key(function.domain(), function.name(), function.overload())] = &function;
  }

  bool ProcessNode(onnx::NodeProto& node) override {
    const auto found = functions_.find(key(node.domain(), node.op_type(), node.overload()));
    if (found == functions_.end()) return true;
    for (const auto& attribute : found->second->attribute_proto()) {
      const bool given = std::ranges::any_of(
          node.attribute(), [&](const auto& a) { return a.name() == attribute.name(); });
      if (!given) *node.add_attribute() = attribute;
    }
    return true;
  }

 private:
  using Key = std::tuple<std::string, std::string, std::string>;
  static Key key(const std::string& domain, const std::string& name, const std::string& overload) {
    return {canonical_domain(domain), name, overload};
  }
  std::map<Key, const onnx::FunctionProto*> functions_;
};

struct Function {
  onnx::FunctionProto proto;
  int64_t written_for = 0;  // opset of the operator's domain
};

std::optional<Function> build_function(const onnx::OpSchema& schema, const onnx::NodeProto& call,
                                       const std::vector<onnx::TypeProto>& types, int64_t opset) {
  Function function;
  const int version = static_cast<int>(opset);
  if (schema.HasFunction()) {
    const onnx::FunctionProto* found = schema.GetFunction(version, false);
    if (!found) return std::nullopt;
    function.proto = *found;
    function.written_for = version_at(schema.function_opset_versions(), opset);
  } else {
    if (!schema.HasContextDependentFunction()) return std::nullopt;
    const onnx::FunctionBodyBuildContextImpl context(call, types);
    if (!schema.BuildContextDependentFunction(context, function.proto, version))
      return std::nullopt;
    function.written_for = version_at(schema.context_dependent_function_opset_versions(), opset);
  }
  onnx::internal::AttributeBinder::BindAttributes(call, function.proto);
  return function;
}

// As a graph: inputs of the function, then what the node's own graphs capture; outputs that the node names.
onnx::GraphProto graph_of(onnx::FunctionProto& function, const Node& node,
                          const std::vector<std::string>& captured) {
  onnx::GraphProto graph;
  for (const std::string& name : function.input()) graph.add_input()->set_name(name);
  for (const std::string& name : captured) graph.add_input()->set_name(name);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == ValueId::kNone) continue;
    if (static_cast<int>(i) >= function.output_size())
      throw_model("QT-E331", cat("output ", i, " does not exist"));
    graph.add_output()->set_name(function.output(static_cast<int>(i)));
  }
  *graph.mutable_node() = std::move(*function.mutable_node());
  return graph;
}

}  // namespace

Model inline_functions(const Model& model) {
  onnx::ModelProto rest;
  restore(model.opaque, rest);
  if (rest.functions_size() == 0) return model;
  Model result = model;
  for (const auto& function : rest.functions()) {
    for (const auto& entry : function.opset_import())
      result.opsets.try_emplace(canonical_domain(entry.domain()), entry.version());
  }
  TensorStubs stubs(kStubBytes);
  onnx::ModelProto proto = write_model(result, {stubs.sink()});
  try {
    Defaults defaults(rest);
    defaults.VisitGraph(*proto.mutable_graph());
    for (auto& function : *proto.mutable_functions()) defaults.VisitFunction(function);
    onnx::inliner::InlineLocalFunctions(proto, true);
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kModel, "QT-E303",
                cat("the model's functions cannot be inlined: ", printable(error.what(), 1000)));
  }
  rest.clear_functions();
  result.opaque = rest_of(rest);
  const TensorSource source = stubs.source();
  result.graph = read_graph(*proto.mutable_graph(), {source, result.opsets});
  return result;
}

std::optional<FunctionBody> function_body(const Model& model, const Node& node) {
  const int64_t opset = model.opset(node.domain);
  const auto* schema = onnx::OpSchemaRegistry::Schema(
      node.type, static_cast<int>(std::min<int64_t>(opset, INT32_MAX)), node.domain);
  if (!schema || schema->Deprecated()) return std::nullopt;
  try {
    const onnx::NodeProto call = call_of(model.graph, node, *schema);
    std::vector<onnx::TypeProto> types;
    for (const ValueId id : node.inputs) types.push_back(type_of(model.graph, id));
    auto function = build_function(*schema, call, types, opset);
    if (!function) return std::nullopt;
    FunctionBody body;
    for (const auto& entry : function->proto.opset_import())
      body.opsets[canonical_domain(entry.domain())] = entry.version();
    body.opsets[node.domain] = function->written_for;
    // Functions outside of ai.onnx need not say which of its opsets they mean.
    body.opsets.try_emplace("", model.opset() > 0 ? model.opset() : list_schemas("").opset);
    const std::vector<std::string> captured = captured_names(node);
    const auto inputs = static_cast<size_t>(function->proto.input_size());
    onnx::GraphProto proto = graph_of(function->proto, node, captured);
    const TensorSource source = no_external_data();
    body.graph = read_graph(proto, {source, body.opsets});
    Graph& graph = body.graph;
    graph.captures.assign(graph.inputs.begin() + static_cast<std::ptrdiff_t>(inputs),
                          graph.inputs.end());
    graph.inputs.resize(inputs);
    return body;
  } catch (Error& error) {
    error.context(cat("while expanding ", node_text(node)));
    throw;
  } catch (const std::exception& error) {
    throw_unsupported(cat(node_text(node), ": ONNX's definition of it by other operators fails: ",
                          printable(error.what(), 1000)));
  }
}

}  // namespace qtool
