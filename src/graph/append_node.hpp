// Nodes that passes and exports add one by one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "qtool/graph.hpp"

namespace qtool {

// A node with one output behind all others, called after the output, which gets a free name like `name`. Returns the
// output.
ValueId append_node(Graph& graph, const std::string& name, const std::string& type,
                    std::vector<ValueId> inputs, DType dtype,
                    const std::optional<Shape>& shape = std::nullopt);

}  // namespace qtool
