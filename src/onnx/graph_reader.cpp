#include "onnx/graph_reader.hpp"

#include <unordered_map>
#include <unordered_set>

#include "onnx/attribute_proto.hpp"
#include "onnx/sparse.hpp"
#include "onnx/value_info.hpp"

namespace qtool::onnx_detail {
namespace {

// What gives a value its content. Declared values wait for theirs.
enum class Maker { kNone, kInput, kInitializer, kNode, kCapture };

class GraphReader {
 public:
  GraphReader(const ReadContext& context, GraphReader* outer) : context_(context), outer_(outer) {}
  Graph read(onnx::GraphProto& proto);

 private:
  ValueId value_of(const std::string& name);
  ValueId define(const std::string& name, Maker maker);
  ValueId use(const std::string& name);
  void declare(onnx::ValueInfoProto& info);
  void read_initializers(onnx::GraphProto& proto);
  void read_declarations(onnx::GraphProto& proto);
  void check_initializer_types();
  void read_nodes(onnx::GraphProto& proto);
  void name_nodes(onnx::GraphProto& proto);
  void read_heading(onnx::NodeProto& proto, Node& node);
  void read_body(onnx::NodeProto& proto, Node& node);
  void read_attributes(onnx::NodeProto& proto, Node& node);
  void check_outputs();
  void order_nodes();

  const ReadContext& context_;
  GraphReader* outer_;
  Graph graph_;
  std::unordered_map<std::string, ValueId> ids_;
  std::vector<Maker> makers_;
};

ValueId GraphReader::value_of(const std::string& name) {
  const auto [entry, added] = ids_.try_emplace(name, static_cast<ValueId>(graph_.values.size()));
  if (added) {
    graph_.values.emplace_back().name = name;
    makers_.push_back(Maker::kNone);
  }
  return entry->second;
}

ValueId GraphReader::define(const std::string& name, Maker maker) {
  if (name.empty())
    throw_model("QT-E330", maker == Maker::kInitializer ? "an initializer has no name"
                                                        : "a graph input has no name");
  const ValueId id = value_of(name);
  Maker& now = makers_[index(id)];
  // An input with an initializer has a default value.
  const bool is_default = (now == Maker::kInitializer && maker == Maker::kInput);
  if (now != Maker::kNone && !is_default)
    throw Error(ErrorKind::kModel, "QT-E330", cat("value ", in_quotes(name), " is made twice"))
        .hint("every value must have one source: an input, an initializer or one node");
  now = maker;
  return id;
}

ValueId GraphReader::use(const std::string& name) {
  if (name.empty()) return ValueId::kNone;
  const auto found = ids_.find(name);
  if (found != ids_.end() && makers_[index(found->second)] != Maker::kNone) return found->second;
  if (!outer_)
    throw Error(
        ErrorKind::kModel, "QT-E330",
        cat("value ", in_quotes(name), " is used, but no node, input or initializer makes it"))
        .hint("the graph is incomplete; export the model again");
  outer_->use(name);
  const ValueId id = define(name, Maker::kCapture);
  graph_.captures.push_back(id);
  return id;
}

void GraphReader::declare(onnx::ValueInfoProto& info) {
  Value& value = graph_.value(value_of(info.name()));
  try {
    take_value_info(info, value);
  } catch (const Error& error) {
    throw about(cat("declaration of value ", in_quotes(value.name)), error);
  }
}

void GraphReader::read_initializers(onnx::GraphProto& proto) {
  const auto read = [&](std::string name, const std::function<Initializer()>& take) {
    const ValueId id = define(name, Maker::kInitializer);
    try {
      graph_.initializers.emplace(id, take());
    } catch (const Error& error) {
      throw about(cat("tensor ", in_quotes(name)), error);
    }
  };
  for (auto& tensor : *proto.mutable_initializer()) {
    read(tensor.name(), [&] {
      tensor.clear_name();
      Tensor data = take_tensor(tensor, context_.source);
      return Initializer{std::move(data), without_sparse_form(rest_of(tensor))};
    });
  }
  for (const auto& sparse : proto.sparse_initializer())
    read(sparse.values().name(), [&] { return take_sparse(sparse, context_.source); });
}

void GraphReader::read_declarations(onnx::GraphProto& proto) {
  for (auto& info : *proto.mutable_input()) {
    graph_.inputs.push_back(define(info.name(), Maker::kInput));
    declare(info);
  }
  for (auto& info : *proto.mutable_output()) {
    if (info.name().empty()) throw_model("QT-E330", "a graph output has no name");
    graph_.outputs.push_back(value_of(info.name()));
    declare(info);
  }
  for (auto& info : *proto.mutable_value_info())
    if (!info.name().empty()) declare(info);
}

void GraphReader::check_initializer_types() {
  for (const auto& [id, initializer] : graph_.initializers) {
    Value& value = graph_.value(id);
    const Tensor& data = initializer.data;
    if (value.dtype == DType::kUndefined) value.dtype = data.dtype();
    if (!value.shape) value.shape = data.shape();
    const Shape& shape = *value.shape;
    bool fits = value.dtype == data.dtype() && shape.size() == data.shape().size();
    for (size_t i = 0; fits && i < shape.size(); ++i)
      fits = shape[i] < 0 || shape[i] == data.shape()[i];
    if (!fits)
      throw_model("QT-E330",
                  cat("value ", in_quotes(value.name), " is declared ", dtype_name(value.dtype),
                      shape_text(shape), ", but its initializer is ", dtype_name(data.dtype()),
                      shape_text(data.shape())));
  }
}

// Artifacts speak of nodes by name, so every node gets one of its own.
void GraphReader::name_nodes(onnx::GraphProto& proto) {
  std::unordered_set<std::string> given, used;
  for (const auto& node : proto.node()) given.insert(node.name());
  for (int i = 0; i < proto.node_size(); ++i) {
    auto& node = *proto.mutable_node(i);
    if (!node.name().empty() && used.insert(node.name()).second) continue;
    std::string name = cat(node.name().empty() ? node.op_type() : node.name(), '_', i);
    while (given.count(name) || used.count(name)) name += '_';
    used.insert(name);
    node.set_name(std::move(name));
  }
}

// Name, type and outputs: enough for other nodes and graphs inside attributes to refer to.
void GraphReader::read_heading(onnx::NodeProto& proto, Node& node) {
  node.name = std::move(*proto.mutable_name());
  node.type = std::move(*proto.mutable_op_type());
  node.domain = canonical_domain(proto.domain());
  proto.clear_name();
  proto.clear_op_type();
  // "ai.onnx" spelled out stays in the rest.
  if (!node.domain.empty()) proto.clear_domain();
  if (node.type.empty())
    throw_model("QT-E330", cat("node ", in_quotes(node.name), " has no operator type"));
  bool any = false;
  for (const std::string& output : proto.output()) {
    node.outputs.push_back(output.empty() ? ValueId::kNone : define(output, Maker::kNode));
    any = any || !output.empty();
  }
  if (!any) throw_model("QT-E330", "it has no outputs");
  if (!context_.opsets.count(node.domain))
    throw_model("QT-E303", cat("its operator domain '",
                               node.domain.empty() ? "ai.onnx" : printable(node.domain),
                               "' is missing in the model's opset_import"));
}

void GraphReader::read_attributes(onnx::NodeProto& proto, Node& node) {
  const GraphTaker take_graph = [this](onnx::GraphProto& inner) {
    return std::make_shared<const Graph>(GraphReader(context_, this).read(inner));
  };
  std::unordered_set<std::string> names;
  for (auto& attribute : *proto.mutable_attribute()) {
    node.attributes.push_back(take_attribute(attribute, context_.source, take_graph));
    if (!names.insert(node.attributes.back().name).second)
      throw_model("QT-E312",
                  cat("attribute ", in_quotes(node.attributes.back().name), " is given twice"));
  }
}

void GraphReader::read_body(onnx::NodeProto& proto, Node& node) {
  for (const std::string& input : proto.input()) node.inputs.push_back(use(input));
  read_attributes(proto, node);
  proto.clear_input();
  proto.clear_output();
  proto.clear_attribute();
  node.opaque = rest_of(proto);
}

void GraphReader::read_nodes(onnx::GraphProto& proto) {
  name_nodes(proto);
  graph_.nodes.resize(static_cast<size_t>(proto.node_size()));
  using Step = void (GraphReader::*)(onnx::NodeProto&, Node&);
  for (const Step step : {&GraphReader::read_heading, &GraphReader::read_body}) {
    for (int i = 0; i < proto.node_size(); ++i) {
      Node& node = graph_.nodes[static_cast<size_t>(i)];
      try {
        (this->*step)(*proto.mutable_node(i), node);
      } catch (const Error& error) {
        throw about(node_text(node), error);
      }
    }
  }
}

// In a graph inside an attribute an output may be a value of the enclosing graph.
void GraphReader::check_outputs() {
  for (const ValueId id : graph_.outputs) use(std::string(graph_.value(id).name));
}

void GraphReader::order_nodes() {
  std::vector<std::string> before;
  for (const Node& node : graph_.nodes) before.push_back(node.name);
  sort_nodes(graph_);
  for (size_t i = 0; i < before.size(); ++i) {
    if (graph_.nodes[i].name == before[i]) continue;
    log(LogLevel::kDebug,
        cat("the nodes were not in order; the first one moved is ", in_quotes(before[i])));
    return;
  }
}

Graph GraphReader::read(onnx::GraphProto& proto) {
  graph_.name = proto.name();
  if (!graph_.name.empty()) proto.clear_name();
  // Initializers come first, then declarations: ids keep the order of both in the file.
  read_initializers(proto);
  read_declarations(proto);
  read_nodes(proto);
  check_outputs();
  check_initializer_types();
  order_nodes();
  proto.clear_node();
  proto.clear_initializer();
  proto.clear_sparse_initializer();
  proto.clear_input();
  proto.clear_output();
  proto.clear_value_info();
  graph_.opaque = rest_of(proto);
  return std::move(graph_);
}

}  // namespace

Graph read_graph(onnx::GraphProto& proto, const ReadContext& context) {
  return GraphReader(context, nullptr).read(proto);
}

}  // namespace qtool::onnx_detail
