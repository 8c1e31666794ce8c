#include <algorithm>

#include "qtool/graph.hpp"

namespace qtool {
namespace {

// The attribute's value as T, nullptr when absent.
template <typename T>
const T* typed(const Node& node, std::string_view name, const char* kind) {
  const Attribute* const attribute = find_attribute(node, name);
  if (attribute == nullptr) return nullptr;
  const T* const value = std::get_if<T>(&attribute->value);
  if (value == nullptr) {
    throw_model("QT-E332",
                cat(node_text(node), ": attribute '", printable(name), "' is not ", kind));
  }
  return value;
}

}  // namespace

const Tensor* Graph::constant(ValueId id) const {
  const auto found = initializers.find(id);
  return found == initializers.end() ? nullptr : &found->second.data;
}

int64_t Model::opset(const std::string& domain) const {
  const auto found = opsets.find(domain);
  return found == opsets.end() ? 0 : found->second;
}

bool is(const Node& node, std::string_view type, std::string_view domain) {
  return node.type == type && node.domain == domain;
}

const Attribute* find_attribute(const Node& node, std::string_view name) {
  for (const Attribute& attribute : node.attributes) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

int64_t attr_int(const Node& node, std::string_view name, int64_t fallback) {
  const auto* const value = typed<int64_t>(node, name, "an integer");
  return value ? *value : fallback;
}

float attr_float(const Node& node, std::string_view name, float fallback) {
  const auto* const value = typed<float>(node, name, "a float");
  return value ? *value : fallback;
}

std::string attr_string(const Node& node, std::string_view name, std::string fallback) {
  const auto* const value = typed<std::string>(node, name, "a string");
  return value ? *value : fallback;
}

std::vector<int64_t> attr_ints(const Node& node, std::string_view name,
                               std::vector<int64_t> fallback) {
  const auto* const value = typed<std::vector<int64_t>>(node, name, "a list of integers");
  return value ? *value : fallback;
}

std::vector<float> attr_floats(const Node& node, std::string_view name,
                               std::vector<float> fallback) {
  const auto* const value = typed<std::vector<float>>(node, name, "a list of floats");
  return value ? *value : fallback;
}

const Tensor* attr_tensor(const Node& node, std::string_view name) {
  return typed<Tensor>(node, name, "a tensor");
}

const Graph* attr_graph(const Node& node, std::string_view name) {
  const auto* const value = typed<std::shared_ptr<const Graph>>(node, name, "a graph");
  return value ? value->get() : nullptr;
}

void set_attribute(Node& node, std::string_view name, AttributeValue value) {
  for (Attribute& attribute : node.attributes) {
    if (attribute.name != name) continue;
    attribute.value = std::move(value);
    return;
  }
  node.attributes.push_back({std::string(name), std::move(value), ""});
}

void remove_attribute(Node& node, std::string_view name) {
  std::erase_if(node.attributes, [&](const Attribute& a) { return a.name == name; });
}

std::string node_text(const Node& node) {
  const std::string domain = node.domain.empty() ? "" : printable(node.domain) + ".";
  return cat("node '", printable(node.name), "' (", domain, printable(node.type), ")");
}

}  // namespace qtool
