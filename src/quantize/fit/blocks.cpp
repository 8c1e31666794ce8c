#include "quantize/fit/blocks.hpp"

#include <algorithm>

namespace qtool::qdq {
namespace {

constexpr size_t kMostInChain = 3;

// A stretch between two values through which everything passes.
struct Stretch {
  std::vector<ValueId> outputs;
  std::vector<std::string> layers;
  bool branches = false;  // more than one value is alive somewhere inside
};

// Walks the nodes in order and counts the values alive that some layer has made.
class Walk {
 public:
  Walk(const Model& model, const Sites& sites, const LayerResults& layers)
      : g_(model.graph),
        sites_(sites),
        layers_(layers),
        uses_(uses_of(model.graph)),
        left_(g_.values.size(), 0),
        made_(g_.values.size(), false) {
    for (size_t v = 0; v < left_.size(); ++v)
      left_[v] = uses_.consumers[v].size() + (uses_.is_output[v] ? 1 : 0);
  }

  std::vector<Stretch> run() {
    std::vector<Stretch> stretches(1);
    for (const Node& node : g_.nodes) {
      Stretch& now = stretches.back();
      if (layers_.contains(node.name) && sites_.layer(node.name)) now.layers.push_back(node.name);
      pass(node);
      now.branches |= alive_.size() > 1;
      if (alive_.size() != 1 || !started_) continue;
      const ValueId only = *alive_.begin();
      if (g_.value(only).dtype != DType::kFloat) continue;
      now.outputs = {only};
      stretches.emplace_back();
    }
    if (stretches.back().layers.empty()) {
      stretches.pop_back();
    } else {
      for (ValueId v : g_.outputs)
        if (made_[index(v)] && g_.value(v).dtype == DType::kFloat)
          stretches.back().outputs.push_back(v);
    }
    return stretches;
  }

 private:
  void pass(const Node& node) {
    bool made = layers_.contains(node.name);
    started_ |= made;
    for (ValueId v : node.inputs) {
      if (v == ValueId::kNone) continue;
      made |= made_[index(v)];
      if (--left_[index(v)] == 0) alive_.erase(v);
    }
    for (ValueId v : node.outputs) {
      if (v == ValueId::kNone || !made) continue;
      made_[index(v)] = true;
      if (left_[index(v)] > 0) alive_.insert(v);
    }
  }

  const Graph& g_;
  const Sites& sites_;
  const LayerResults& layers_;
  Uses uses_;
  std::vector<size_t> left_;  // uses still to come, by value
  std::vector<bool> made_;    // by a layer
  std::set<ValueId> alive_;
  bool started_ = false;
};

bool same_shape(const Graph& g, const Stretch& a, const Stretch& b) {
  if (a.outputs.size() != 1 || b.outputs.size() != 1) return false;
  const auto &one = g.value(a.outputs[0]).shape, &other = g.value(b.outputs[0]).shape;
  return one && other && *one == *other;
}

}  // namespace

std::vector<Block> find_blocks(const Model& model, const Sites& sites, const LayerResults& layers) {
  std::vector<Stretch> joined;
  for (Stretch& s : Walk(model, sites, layers).run()) {
    // What follows element by element belongs to the block; the rest of a stretch without layers to the next one.
    if (!joined.empty()) {
      Stretch& last = joined.back();
      const bool follows = s.layers.empty() && !last.layers.empty() && !s.branches &&
                           same_shape(model.graph, last, s);
      const bool chain =
          !last.branches && !s.branches && last.layers.size() + s.layers.size() <= kMostInChain;
      if (follows || chain || last.layers.empty()) {
        last.outputs = s.outputs;
        last.branches |= s.branches;
        last.layers.insert(last.layers.end(), s.layers.begin(), s.layers.end());
        continue;
      }
    }
    joined.push_back(std::move(s));
  }
  std::vector<Block> blocks;
  std::string input;
  for (const Stretch& s : joined) {
    Block block{input, {}, s.layers};
    for (ValueId v : s.outputs) block.outputs.push_back(model.graph.value(v).name);
    if (block.outputs.empty()) continue;
    input = block.outputs[0];
    if (!s.layers.empty()) blocks.push_back(std::move(block));
  }
  return blocks;
}

Model block_of(const Model& model, const Block& block) {
  Model part = model;
  Graph& g = part.graph;
  std::vector<ValueId> outputs;
  for (const std::string& name : block.outputs) outputs.push_back(g.find(name));
  if (!block.input.empty()) {
    const ValueId input = g.find(block.input);
    for (Node& node : g.nodes) {
      for (ValueId& v : node.outputs)
        if (v == input) v = add_value(g, block.input + "_before", g.value(input).dtype);
    }
    if (std::ranges::find(g.inputs, input) == g.inputs.end()) g.inputs.push_back(input);
  }
  g.outputs = outputs;
  remove_dead(g);
  const Uses uses = uses_of(g);
  std::erase_if(g.inputs, [&](ValueId v) {
    return uses.consumers[index(v)].empty() && !uses.is_output[index(v)];
  });
  verify(g);
  return part;
}

}  // namespace qtool::qdq
