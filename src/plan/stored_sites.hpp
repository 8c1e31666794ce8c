// Weights that are codes only as they are stored: embedding tables and recurrent cells, in bodies, too.
#pragma once

#include "qtool/plan.hpp"

namespace qtool::plan {

// Of a prepared model, in graph order. `layers` have their sites and names already.
std::vector<StoredSite> find_stored(const Model& model, const std::vector<LayerSite>& layers);

}  // namespace qtool::plan
