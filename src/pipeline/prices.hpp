// What a search chooses from and what each choice costs, kept in the workspace.
#pragma once

#include "pipeline/request.hpp"

namespace qtool::pipeline {

struct Prices {
  WeightCandidates candidates;
  ScoreTable scores;
  int64_t samples = 0;  // of the data, that candidates or scores saw
};
// Of these widths of weights. Candidates and prices that the workspace has from before, made under the same
// conditions, are taken from there; only widths that it lacks are solved and priced.
Prices prices_of(const Prepared& prepared, const Workspace& workspace,
                 const CalibrationTable& table, const SampleSource& source,
                 const PlanRequest& request, const std::vector<Width>& weights);

}  // namespace qtool::pipeline
