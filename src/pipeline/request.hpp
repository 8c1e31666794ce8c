// What a request for a plan means.
#pragma once

#include "pipeline/stages.hpp"

namespace qtool::pipeline {

// With what its device asks for, which goes before what nobody asked for. Throws Error{kUsage, QT-E127} where options
// contradict each other, and for names that nothing has.
PlanRequest checked(PlanRequest request);

std::vector<Keep> keeps_of(const PlanRequest& request);
// Of layers that no rule gives another; hybrid plans start static.
ActivationMode mode_of(const PlanRequest& request);
ActivationStyle style_of(const PlanRequest& request);
bool uniform_only(const PlanRequest& request);

// Throws Error{kUsage, QT-E126} for a width outside of [lowest, highest] that is not float.
void check_widths(const std::vector<int>& widths, int lowest, int highest, std::string_view what);
// Of the widths of weights asked for, those that the formats have and the device takes.
std::vector<Width> offered_widths(const PlanRequest& request);
// Of activations; hybrid plans choose by value when it gets its range, too.
std::vector<Width> offered_activations(const PlanRequest& request);

// What the constants of the written model may take; 0: any, also where sizes are not counted as some file has them.
int64_t most_bytes(const PlanRequest& request, const Model& model);

}  // namespace qtool::pipeline
