#include "graph/subgraphs.hpp"

namespace qtool {
namespace {

constexpr size_t kShownItems = 8;

std::string name_of(const Graph& graph, ValueId id) {
  return id == ValueId::kNone ? "_" : printable(graph.value(id).name);
}

std::string typed_name(const Graph& graph, ValueId id) {
  if (id == ValueId::kNone) return "_";
  const Value& value = graph.value(id);
  if (value.dtype == DType::kUndefined && !value.shape) return name_of(graph, id);
  return cat(name_of(graph, id), ": ", dtype_name(value.dtype),
             value.shape ? shape_text(*value.shape) : std::string("[…]"));
}

template <typename Items, typename Text>
std::string joined(const Items& items, const Text& text) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + text(item);
  return out;
}

std::string value_text(const std::monostate&) { return "?"; }
std::string value_text(int64_t value) { return std::to_string(value); }
std::string value_text(float value) { return cat(value); }
std::string value_text(const std::string& value) { return cat('"', printable(value, 40), '"'); }
std::string value_text(const Tensor& value) {
  return cat(dtype_name(value.dtype()), shape_text(value.shape()));
}
std::string value_text(const std::shared_ptr<const Graph>& value) {
  return value ? cat("graph of ", value->nodes.size(), " nodes") : "no graph";
}
template <typename T>
std::string value_text(const std::vector<T>& values) {
  std::string out;
  for (size_t i = 0; i < std::min(values.size(), kShownItems); ++i) {
    out += (i > 0 ? ", " : "") + value_text(values[i]);
  }
  return "[" + out + (values.size() > kShownItems ? ", …]" : "]");
}

std::string attributes_text(const Node& node) {
  if (node.attributes.empty()) return "";
  return " {" +
         joined(node.attributes,
                [](const Attribute& a) {
                  return printable(a.name) + "=" +
                         std::visit([](const auto& v) { return value_text(v); }, a.value);
                }) +
         "}";
}

void add_graph(const Graph& graph, const std::string& indent, std::string& out) {
  const auto typed = [&](ValueId id) { return typed_name(graph, id); };
  const auto plain = [&](ValueId id) { return name_of(graph, id); };
  out += cat(indent, "graph ", printable(graph.name), "(", joined(graph.inputs, typed), ") -> (",
             joined(graph.outputs, typed), ")\n");
  if (!graph.captures.empty())
    out += cat(indent, "  captures ", joined(graph.captures, plain), "\n");
  for (const auto& [id, initializer] : graph.initializers) {
    out += cat(indent, "  ", plain(id), " = ", value_text(initializer.data), "\n");
  }
  for (const Node& node : graph.nodes) {
    out += cat(indent, "  ", joined(node.outputs, typed), " = ",
               node.domain.empty() ? "" : printable(node.domain) + ".", printable(node.type), "(",
               joined(node.inputs, plain), ")", attributes_text(node), "  # ", printable(node.name),
               "\n");
    for (const Graph* const inner : subgraphs_of(node)) add_graph(*inner, indent + "    ", out);
  }
}

}  // namespace

std::string dump(const Graph& graph) {
  std::string out;
  add_graph(graph, "", out);
  return out;
}

}  // namespace qtool
