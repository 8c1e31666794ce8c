// Searches for widths under a budget.
#pragma once

#include "pipeline/request.hpp"

namespace qtool::pipeline {

// The plan and what is known of it; plan.json is not written.
Searched search_budget(const Prepared& prepared, const Workspace& workspace,
                       const PlanRequest& request);

}  // namespace qtool::pipeline
