#include <unordered_set>

#include "graph/subgraphs.hpp"

namespace qtool {
namespace {

[[noreturn]] void fail(const std::string& message) { throw_model("QT-E330", message); }

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), defined_(graph.values.size()) {}

  void run() {
    check_names();
    for (const auto& [id, initializer] : graph_.initializers) {
      check_id(id, "an initializer");
      if (!initializer.data.defined()) fail(value_text(id) + " is an initializer without data");
      define(id);
    }
    check_inputs();
    for (const ValueId id : graph_.captures) {
      check_id(id, "a capture");
      define(id);
    }
    for (const Node& node : graph_.nodes) check_node(node);
    for (const ValueId id : graph_.outputs) {
      check_id(id, "an output");
      if (!defined_[index(id)]) fail("the output " + value_text(id) + " is made by nobody");
    }
  }

 private:
  std::string value_text(ValueId id) const {
    return cat("value '", printable(graph_.value(id).name), "'");
  }

  void check_id(ValueId id, const char* what, const Node* node = nullptr) const {
    if (index(id) < graph_.values.size()) return;
    fail(cat(node ? node_text(*node) : std::string(what), " refers to value ",
             static_cast<int32_t>(id), " of ", graph_.values.size()));
  }

  void define(ValueId id) {
    if (defined_[index(id)]) fail(value_text(id) + " has two sources");
    defined_[index(id)] = true;
  }

  void check_names() {
    for (const Value& value : graph_.values) {
      if (value.name.empty()) fail("a value has no name");
      if (!names_.insert(value.name).second) {
        fail(cat("two values are called '", printable(value.name), "'"));
      }
    }
    std::unordered_set<std::string_view> node_names;
    for (const Node& node : graph_.nodes) {
      if (node.name.empty() || !node_names.insert(node.name).second) {
        fail(cat("the name of ", node_text(node), " is empty or taken"));
      }
    }
  }

  void check_inputs() {
    std::unordered_set<int32_t> seen;
    for (const ValueId id : graph_.inputs) {
      check_id(id, "an input");
      if (!seen.insert(static_cast<int32_t>(id)).second)
        fail("the input " + value_text(id) + " comes twice");
      if (!graph_.initializers.contains(id))
        define(id);  // an initializer may be an input's default
    }
  }

  void check_node(const Node& node) {
    for (const ValueId id : node.inputs) {
      if (id == ValueId::kNone) continue;
      check_id(id, "", &node);
      if (!defined_[index(id)])
        fail(cat(node_text(node), " reads ", value_text(id), " before it is made"));
    }
    for (const Graph* const graph : subgraphs_of(node)) check_subgraph(node, *graph);
    for (const ValueId id : node.outputs) {
      if (id == ValueId::kNone) continue;
      check_id(id, "", &node);
      define(id);
    }
  }

  void check_subgraph(const Node& node, const Graph& graph) {
    Verifier(graph).run();
    for (const ValueId capture : graph.captures) {
      const std::string& name = graph.value(capture).name;
      if (!names_.contains(name)) {
        fail(cat("a subgraph of ", node_text(node), " captures '", printable(name),
                 "', which the graph around it does not have"));
      }
      const ValueId id = by_name(name);
      if (!defined_[index(id)])
        fail(cat(node_text(node), " captures ", value_text(id), " before it is made"));
    }
  }

  ValueId by_name(std::string_view name) {
    if (ids_.empty()) {
      for (size_t i = 0; i < graph_.values.size(); ++i)
        ids_.emplace(graph_.values[i].name, ValueId(i));
    }
    return ids_.at(name);
  }

  const Graph& graph_;
  std::vector<bool> defined_;
  std::unordered_set<std::string_view> names_;
  std::unordered_map<std::string_view, ValueId> ids_;
};

}  // namespace

void verify(const Graph& graph) { Verifier(graph).run(); }

}  // namespace qtool
