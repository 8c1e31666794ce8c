// Unique names.
#pragma once

#include "qtool/graph.hpp"

namespace qtool {

// The name, or the name with the first free suffix "_1", "_2" … Reserves it.
std::string unique_value_name(Graph& graph, std::string name);
std::string unique_node_name(Graph& graph, std::string name);
// After nodes were removed or reordered by hand.
void forget_node_names(Graph& graph);

}  // namespace qtool
