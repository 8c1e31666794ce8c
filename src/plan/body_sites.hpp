// Sites of the main graph and of the bodies that its nodes carry.
#pragma once

#include "qtool/plan.hpp"

namespace qtool::plan {

// Layers, activations and nodes of the model's own graph, without what its nodes carry. `captured`: values of the
// graph around it, which an Identity takes in (passes/name_bodies) and whose quantizer stands behind that.
Sites sites_of_graph(const Model& model, const Target& target,
                     const std::set<std::string>& captured = {});

}  // namespace qtool::plan
