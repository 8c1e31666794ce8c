// What the stages share: artifacts of a workspace, opened and checked.
#pragma once

#include "qtool/pipeline.hpp"

namespace qtool::pipeline {

inline constexpr const char* kCalibration = "calibration.json";
inline constexpr const char* kScores = "scores.json";
inline constexpr const char* kPlan = "plan.json";

struct Prepared {
  Model model;
  Sites sites;
};
// The workspace's model, unchanged since calibration, prepared.
Prepared load_prepared(const Workspace& workspace, const std::string& target);
// The workspace's data with the preprocessing that calibration used.
std::unique_ptr<SampleSource> source_of(const Workspace& workspace, const Model& model);
CalibrationTable load_table(const Workspace& workspace);

}  // namespace qtool::pipeline
