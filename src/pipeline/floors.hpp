// Searches for a quality floor: the cheapest plan whose measured outputs keep it.
#pragma once

#include "pipeline/stages.hpp"

namespace qtool::pipeline {

// `options.limits` hold at least one floor; its other limits hold for every plan tried.
struct FloorSearch {
  const Prepared& prepared;
  const CalibrationTable& table;
  const ScoreTable& scores;
  const SampleSource& source;
  const AssignOptions& options;
  const PlanRequest& request;
  QuantizeOptions quantizing;
  // Of the float network on all data, where a drop is limited.
  std::optional<Vicinity> vicinity = {};

  // Bisection over the mean weight width. Every plan is quantized on the first three quarters of the
  // data and measured on the rest. Throws Error{kInfeasible, QT-E503} that names what the widest plan
  // reaches when that is not enough, Error{kUsage, QT-E138} for a floor that the outputs do not have.
  Assignment cheapest(std::optional<Evaluation>& measured) const;
  // Of a plan, quantized and run as above.
  Evaluation measure(const QuantPlan& plan) const;

 private:
  Assignment plan_of(double bits) const;
  bool keeps_floors(const Evaluation& measured) const;
};

}  // namespace qtool::pipeline
