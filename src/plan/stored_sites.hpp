// Weights that are codes only as they are stored: embedding tables, recurrent cells, layers inside bodies.
#pragma once

#include "qtool/plan.hpp"

namespace qtool::plan {

// Of a prepared model, in graph order. `layers` have their sites already.
std::vector<StoredSite> find_stored(const Model& model, const std::vector<LayerSite>& layers);

}  // namespace qtool::plan
