#include "graph/names.hpp"
#include "graph/subgraphs.hpp"

namespace qtool {
namespace {

class Splicer {
 public:
  Splicer(Graph& graph, const Graph& inner, std::string prefix)
      : graph_(graph), inner_(inner), prefix_(std::move(prefix)), ids_(inner.values.size()) {}

  void run(const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs) {
    if (inputs.size() != inner_.inputs.size() || outputs.size() != inner_.outputs.size())
      throw_internal("splice: the inputs or outputs of the graphs differ in number");
    for (size_t i = 0; i < inputs.size(); ++i) bind(inner_.inputs[i], inputs[i]);
    for (const ValueId id : inner_.captures) bind(id, captured(id));
    take_results(outputs);
    for (const auto& [id, initializer] : inner_.initializers) {
      if (!known(id)) graph_.initializers[fresh(id)] = initializer;
    }
    for (const Node& node : inner_.nodes) {
      for (const ValueId id : node.outputs)
        if (id != ValueId::kNone && !known(id)) fresh(id);
    }
    for (const Node& node : inner_.nodes) add(node);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i] != ValueId::kNone && ids_[index(inner_.outputs[i])] != outputs[i])
        forward(ids_[index(inner_.outputs[i])].value(), outputs[i]);
    }
  }

 private:
  bool known(ValueId id) const { return ids_[index(id)].has_value(); }
  void bind(ValueId id, ValueId outer) { ids_[index(id)] = outer; }

  ValueId captured(ValueId id) const {
    const ValueId outer = graph_.find(inner_.value(id).name);
    if (outer == ValueId::kNone)
      throw_internal(cat("splice: '", printable(inner_.value(id).name), "' is not there"));
    return outer;
  }

  // What a node of the inner graph makes becomes the outer value itself; the rest is forwarded.
  void take_results(const std::vector<ValueId>& outputs) {
    std::vector<bool> made(inner_.values.size());
    for (const Node& node : inner_.nodes) {
      for (const ValueId id : node.outputs)
        if (id != ValueId::kNone) made[index(id)] = true;
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      const ValueId id = inner_.outputs[i];
      if (outputs[i] != ValueId::kNone && made[index(id)] && !known(id)) bind(id, outputs[i]);
    }
  }

  ValueId fresh(ValueId id) {
    const Value& old = inner_.value(id);
    const ValueId now = add_value(graph_, prefix_ + old.name, old.dtype, old.shape);
    Value& value = graph_.value(now);
    value.symbols = old.symbols;
    value.opaque = old.opaque;
    bind(id, now);
    return now;
  }

  void add(const Node& node) {
    Node copy = node;
    copy.name = unique_node_name(graph_, prefix_ + node.name);
    for (auto* const list : {&copy.inputs, &copy.outputs}) {
      for (ValueId& id : *list)
        if (id != ValueId::kNone) id = ids_[index(id)].value();
    }
    rename_all_captures(copy);
    graph_.nodes.push_back(std::move(copy));
  }

  // In two steps, so that a new name is never taken for an old one.
  void rename_all_captures(Node& node) const {
    std::vector<std::pair<std::string, std::string>> second;
    for (const std::string& name : captured_names(node)) {
      const ValueId outer = ids_[index(inner_.find(name))].value();
      if (outer == ValueId::kNone)
        throw_unsupported(cat(node_text(node), ": its graph reads the input '", printable(name),
                              "', which is absent"));
      const std::string& now = graph_.value(outer).name;
      if (now == name) continue;
      std::string between = cat(std::string(1, '\1'), second.size());
      rename_captures(node, name, between);
      second.emplace_back(std::move(between), now);
    }
    for (const auto& [from, to] : second) rename_captures(node, from, to);
  }

  void forward(ValueId from, ValueId to) {
    graph_.nodes.push_back(
        make_node(graph_, prefix_ + graph_.value(to).name, "Identity", {from}, {to}));
  }

  Graph& graph_;
  const Graph& inner_;
  std::string prefix_;
  std::vector<std::optional<ValueId>> ids_;  // of inner values in the outer graph
};

}  // namespace

void splice(Graph& graph, const Graph& inner, const std::vector<ValueId>& inputs,
            const std::vector<ValueId>& outputs, const std::string& prefix) {
  Splicer(graph, inner, prefix).run(inputs, outputs);
}

}  // namespace qtool
