// What the nodes of a graph may do by themselves: the part of find_sites that looks at no neighbours.
#pragma once

#include <set>

#include "plan/code_regions.hpp"
#include "qtool/ops.hpp"

namespace qtool::plan {

struct NodeParts {
  std::vector<NodePart> parts;    // by node
  std::vector<LayerSite> layers;  // in the order of nodes
};
// `captured` as sites_of_graph has it, `behind` as find_regions does.
NodeParts find_parts(const Model& model, const Target& target,
                     const std::set<std::string>& captured, const std::vector<ValueId>& behind);

// The record of a node's operator; nullptr when there is none.
const OpDef* op_of(const Model& model, const Node& node);
// Whether the node brings in a value of the graph around its own.
bool takes_in(const Graph& graph, const Node& node, const std::set<std::string>& captured);
// A value's shape, a free leading dimension taken as one; nothing when more is unknown.
std::optional<Shape> one_sample(const Graph& graph, ValueId value);

}  // namespace qtool::plan
