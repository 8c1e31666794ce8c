#include <algorithm>
#include <set>

#include "passes/passes.hpp"

namespace qtool {
namespace {

bool is_any_of(const Node& node, std::initializer_list<std::string_view> types) {
  return std::ranges::any_of(types, [&](std::string_view type) { return is(node, type); });
}

// Follows one input through the graph; `compared` grows by the numbers it is compared with.
class Follower {
 public:
  explicit Follower(const Graph& graph) : g_(graph), uses_(uses_of(graph)) {}

  bool is_unread(ValueId id) const {
    return uses_.consumers[index(id)].empty() && !uses_.is_output[index(id)];
  }

  // Whether the number is only compared with constants, to choose the branches of Ifs.
  bool only_selects(ValueId number, std::set<int64_t>& compared) const {
    return all_consumers(number, [&](const Node& node) {
      if (reads_inside(node, g_.value(number).name)) return false;
      if (is_any_of(node, {"Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Flatten"}))
        return node.inputs[0] == number && only_selects(node.outputs[0], compared);
      if (!is(node, "Equal")) return false;
      const ValueId other = node.inputs[node.inputs[0] == number ? 1 : 0];
      const Tensor* constant = passes::constant(g_, other);
      if (!constant || constant->size() != 1) return false;
      compared.insert(constant->integer(0));
      return only_decides(node.outputs[0]);
    });
  }

 private:
  // Whether the condition only chooses branches, here or in graphs inside.
  bool only_decides(ValueId condition) const {
    const std::string& name = g_.value(condition).name;
    return all_consumers(condition, [&](const Node& node) {
      if (reads_inside(node, name) && !only_decides_inside(node, name)) return false;
      if (std::ranges::count(node.inputs, condition) == 0 || is(node, "If")) return true;
      return is_any_of(node, {"Identity", "Cast", "Not", "And", "Or", "Squeeze", "Reshape"}) &&
             only_decides(node.outputs[0]);
    });
  }

  static bool only_decides_inside(const Node& node, const std::string& name) {
    return std::ranges::all_of(node.attributes, [&](const Attribute& attribute) {
      const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
      if (!body) return true;
      return std::ranges::all_of((*body)->captures, [&](ValueId id) {
        return (*body)->value(id).name != name || Follower(**body).only_decides(id);
      });
    });
  }

  static bool reads_inside(const Node& node, const std::string& name) {
    return std::ranges::count(captured_names(node), name) > 0;
  }

  template <typename Check>
  bool all_consumers(ValueId id, const Check& check) const {
    return !uses_.is_output[index(id)] &&
           std::ranges::all_of(uses_.consumers[index(id)],
                               [&](int32_t n) { return check(g_.nodes[static_cast<size_t>(n)]); });
  }

  const Graph& g_;
  Uses uses_;
};

}  // namespace

std::vector<SelectorInput> selector_inputs(const Model& model) {
  const Model m = prepare_for_execution(model, {.observe = {}, .fuse = false});
  const Graph& g = m.graph;
  const Follower follower(g);
  std::vector<SelectorInput> found;
  for (const ValueId id : g.inputs) {
    const Value& value = g.value(id);
    if (g.constant(id) || !value.shape || !is_static(*value.shape)) continue;
    if (follower.is_unread(id)) {
      found.push_back({value.name, true, {}});
      continue;
    }
    std::set<int64_t> compared;
    if (!is_integer(value.dtype) || element_count(*value.shape) != 1) continue;
    if (follower.only_selects(id, compared) && !compared.empty())
      found.push_back({value.name, false, {compared.begin(), compared.end()}});
  }
  return found;
}

}  // namespace qtool
