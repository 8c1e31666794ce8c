#include "onnx/attribute_proto.hpp"

namespace qtool::onnx_detail {
namespace {

using Proto = onnx::AttributeProto;

// The types whose field is set.
std::vector<Proto::AttributeType> set_fields(const Proto& proto) {
  std::vector<Proto::AttributeType> found;
  const auto note = [&](bool set, Proto::AttributeType type) {
    if (set) found.push_back(type);
  };
  note(proto.has_f(), Proto::FLOAT);
  note(proto.has_i(), Proto::INT);
  note(proto.has_s(), Proto::STRING);
  note(proto.has_t(), Proto::TENSOR);
  note(proto.has_g(), Proto::GRAPH);
  note(proto.has_tp(), Proto::TYPE_PROTO);
  note(proto.has_sparse_tensor(), Proto::SPARSE_TENSOR);
  note(proto.floats_size() > 0, Proto::FLOATS);
  note(proto.ints_size() > 0, Proto::INTS);
  note(proto.strings_size() > 0, Proto::STRINGS);
  note(proto.tensors_size() > 0, Proto::TENSORS);
  note(proto.graphs_size() > 0, Proto::GRAPHS);
  note(proto.sparse_tensors_size() > 0, Proto::SPARSE_TENSORS);
  note(proto.type_protos_size() > 0, Proto::TYPE_PROTOS);
  return found;
}

// Scalars may be absent (then they are 0 or ""); messages may not.
bool needs_field(Proto::AttributeType type) {
  return type == Proto::TENSOR || type == Proto::GRAPH || type == Proto::SPARSE_TENSOR ||
         type == Proto::TYPE_PROTO;
}

Proto::AttributeType checked_type(const Proto& proto) {
  if (!proto.ref_attr_name().empty())
    throw_model("QT-E312", "it refers to an attribute of a function, outside of any function");
  const auto set = set_fields(proto);
  if (set.size() > 1) throw_model("QT-E312", "it has more than one value");
  if (proto.type() == Proto::UNDEFINED) {
    if (set.empty()) throw_model("QT-E312", "it has neither a type nor a value");
    return set.front();
  }
  if (set.empty() ? needs_field(proto.type()) : set.front() != proto.type())
    throw_model("QT-E312",
                cat("its type is ", Proto::AttributeType_Name(proto.type()), ", its value is ",
                    set.empty() ? "missing" : Proto::AttributeType_Name(set.front())));
  return proto.type();
}

template <typename Field>
auto values_of(const Field& field) {
  using Item = std::decay_t<decltype(*field.begin())>;
  return std::vector<Item>(field.begin(), field.end());
}

void clear_values(Proto& proto) {
  proto.clear_type();
  proto.clear_f();
  proto.clear_i();
  proto.clear_s();
  proto.clear_g();
  proto.clear_floats();
  proto.clear_ints();
  proto.clear_strings();
  proto.clear_graphs();
  // A tensor's name and doc string stay where they are.
  if (proto.has_t() && proto.t().ByteSizeLong() == 0) proto.clear_t();
  for (const auto& tensor : proto.tensors())
    if (tensor.ByteSizeLong() > 0) return;
  proto.clear_tensors();
}

// An edit may have changed the kind of the value; what was kept of the old one must go then.
void drop_other_values(const AttributeValue& value, Proto& proto) {
  if (std::holds_alternative<std::monostate>(value)) return;
  if (!std::holds_alternative<Tensor>(value)) proto.clear_t();
  if (!std::holds_alternative<std::vector<Tensor>>(value)) proto.clear_tensors();
  proto.clear_tp();
  proto.clear_type_protos();
  proto.clear_sparse_tensor();
  proto.clear_sparse_tensors();
}

AttributeValue take_value(Proto& proto, Proto::AttributeType type, const TensorSource& source,
                          const GraphTaker& take_graph) {
  switch (type) {
    case Proto::FLOAT:
      return proto.f();
    case Proto::INT:
      return static_cast<int64_t>(proto.i());
    case Proto::STRING:
      return std::move(*proto.mutable_s());
    case Proto::TENSOR:
      return take_tensor(*proto.mutable_t(), source);
    case Proto::GRAPH:
      return take_graph(*proto.mutable_g());
    case Proto::FLOATS:
      return values_of(proto.floats());
    case Proto::INTS:
      return values_of(proto.ints());
    case Proto::STRINGS:
      return values_of(proto.strings());
    case Proto::TENSORS: {
      std::vector<Tensor> tensors;
      for (auto& tensor : *proto.mutable_tensors()) tensors.push_back(take_tensor(tensor, source));
      return tensors;
    }
    case Proto::GRAPHS: {
      std::vector<std::shared_ptr<const Graph>> graphs;
      for (auto& graph : *proto.mutable_graphs()) graphs.push_back(take_graph(graph));
      return graphs;
    }
    default:
      return std::monostate();
  }
}

// Sets the field of the alternative that the variant holds, and the type that goes with it.
struct ValuePutter {
  Proto& proto;
  const TensorSink& sink;
  const GraphPutter& put_graph;

  void operator()(std::monostate) const {}
  void operator()(int64_t value) const {
    proto.set_type(Proto::INT);
    proto.set_i(value);
  }
  void operator()(float value) const {
    proto.set_type(Proto::FLOAT);
    proto.set_f(value);
  }
  void operator()(const std::string& value) const {
    proto.set_type(Proto::STRING);
    proto.set_s(value);
  }
  void operator()(const Tensor& value) const {
    proto.set_type(Proto::TENSOR);
    put_tensor(value, *proto.mutable_t(), sink);
  }
  void operator()(const std::shared_ptr<const Graph>& value) const {
    proto.set_type(Proto::GRAPH);
    put_graph(*value, *proto.mutable_g());
  }
  void operator()(const std::vector<int64_t>& values) const {
    proto.set_type(Proto::INTS);
    for (const int64_t value : values) proto.add_ints(value);
  }
  void operator()(const std::vector<float>& values) const {
    proto.set_type(Proto::FLOATS);
    for (const float value : values) proto.add_floats(value);
  }
  void operator()(const std::vector<std::string>& values) const {
    proto.set_type(Proto::STRINGS);
    for (const std::string& value : values) proto.add_strings(value);
  }
  void operator()(const std::vector<Tensor>& values) const {
    proto.set_type(Proto::TENSORS);
    if (proto.tensors_size() != static_cast<int>(values.size())) proto.clear_tensors();
    while (proto.tensors_size() < static_cast<int>(values.size())) proto.add_tensors();
    for (size_t i = 0; i < values.size(); ++i)
      put_tensor(values[i], *proto.mutable_tensors(static_cast<int>(i)), sink);
  }
  void operator()(const std::vector<std::shared_ptr<const Graph>>& values) const {
    proto.set_type(Proto::GRAPHS);
    for (const auto& value : values) put_graph(*value, *proto.add_graphs());
  }
};

}  // namespace

Attribute take_attribute(Proto& proto, const TensorSource& source, const GraphTaker& take_graph) {
  Attribute attribute;
  attribute.name = proto.name();
  if (attribute.name.empty()) throw_model("QT-E312", "it has no name");
  try {
    const Proto::AttributeType type = checked_type(proto);
    attribute.value = take_value(proto, type, source, take_graph);
  } catch (const Error& error) {
    throw about(cat("attribute ", in_quotes(attribute.name)), error);
  }
  proto.clear_name();
  if (!std::holds_alternative<std::monostate>(attribute.value)) clear_values(proto);
  attribute.opaque = rest_of(proto);
  return attribute;
}

void put_attribute(const Attribute& attribute, Proto& proto, const TensorSink& sink,
                   const GraphPutter& put_graph) {
  restore(attribute.opaque, proto);
  proto.set_name(attribute.name);
  drop_other_values(attribute.value, proto);
  std::visit(ValuePutter{proto, sink, put_graph}, attribute.value);
}

}  // namespace qtool::onnx_detail
