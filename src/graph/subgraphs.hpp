// The graphs that nodes carry as attributes (bodies of If, Loop, Scan).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "qtool/graph.hpp"

namespace qtool {

std::vector<const Graph*> subgraphs_of(const Node& node);

// Captures of `from` by the node's subgraphs, at every depth, become captures of `to`. Graphs are
// copied before they change; local values that happen to be called `to` make room.
void rename_captures(Node& node, const std::string& from, const std::string& to);

}  // namespace qtool
