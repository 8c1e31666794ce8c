// Small graphs for the tests of this layer.
#pragma once

#include "qtool/graph.hpp"

namespace qtool {

inline ValueId input_of(Graph& g, const std::string& name) {
  const ValueId id = add_value(g, name, DType::kFloat, Shape{1, -1});
  g.inputs.push_back(id);
  return id;
}

inline ValueId append(Graph& g, const std::string& type, const std::vector<ValueId>& inputs,
                      const std::string& output, std::vector<Attribute> attributes = {}) {
  const ValueId out = add_value(g, output);
  g.nodes.push_back(make_node(g, type, type, inputs, {out}, std::move(attributes)));
  return out;
}

// x → Relu → a → Add(a, w) → y
struct Chain {
  Graph g;
  ValueId x, a, w, y;
  Chain() {
    g.name = "chain";
    x = input_of(g, "x");
    a = append(g, "Relu", {x}, "a");
    w = add_initializer(g, "w", Tensor::of<float>({1}, {2}));
    y = append(g, "Add", {a, w}, "y");
    g.outputs = {y};
  }
};

// A body that adds its captured `name` to itself.
inline std::shared_ptr<const Graph> doubling_body(const std::string& name) {
  Graph body;
  body.name = "body";
  const ValueId outer = add_value(body, name);
  body.captures = {outer};
  body.outputs = {append(body, "Add", {outer, outer}, "inner_sum")};
  return std::make_shared<const Graph>(std::move(body));
}

// A body whose own If captures `name`; so it captures `name` as well.
inline std::shared_ptr<const Graph> nested_body(const std::string& name) {
  Graph body;
  body.name = "outer_body";
  body.captures = {add_value(body, name)};
  const ValueId condition = add_initializer(body, "flag", Tensor::of<bool>({}, {true}));
  body.outputs = {
      append(body, "If", {condition}, "chosen",
             {{"then_branch", doubling_body(name), ""}, {"else_branch", doubling_body(name), ""}})};
  return std::make_shared<const Graph>(std::move(body));
}

// condition, x → Relu → a; If(condition) whose branches capture a → y
struct Branching {
  Graph g;
  ValueId condition, x, a, y;
  explicit Branching(bool nested = false) {
    g.name = "branching";
    condition = input_of(g, "condition");
    x = input_of(g, "x");
    a = append(g, "Relu", {x}, "a");
    y = append(g, "If", {condition}, "y",
               {{"then_branch", nested ? nested_body("a") : doubling_body("a"), ""},
                {"else_branch", doubling_body("a"), ""}});
    g.outputs = {y};
  }
};

inline std::string failure_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.code() + " " + error.message();
  }
  return "";
}

}  // namespace qtool
