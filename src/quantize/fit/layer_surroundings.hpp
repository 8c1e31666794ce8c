// What stands right behind a layer and changes which error of it matters.
#pragma once

#include <optional>
#include <utility>

#include "qtool/graph.hpp"

namespace qtool::qdq {

// An operand of a node.
struct Operand {
  const Node* node = nullptr;
  size_t slot = 0;
  ValueId value() const { return node ? node->inputs[slot] : ValueId::kNone; }
};

// What an Add right behind the layer adds to its output, in a model whose nodes are in order; none when
// it is not there yet when the layer runs.
Operand added_behind(const Model& model, const Uses& uses, const Node& layer);
// The same operand in the quantized network; empty when it is not there yet when the layer runs.
std::string same_operand(const Model& quantized, const Uses& uses, const Operand& operand,
                         const Node& layer);
// Where the only reader of the layer's output follows it (Relu, Clip: it is constant elsewhere); nothing where it does
// so everywhere.
std::optional<std::pair<double, double>> active_range(const Model& model, const Uses& uses,
                                                      const Node& layer);

}  // namespace qtool::qdq
