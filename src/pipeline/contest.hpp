// The best few plans that one score table leads to, tried; and what its predictions are worth.
#pragma once

#include <functional>

#include "pipeline/floors.hpp"

namespace qtool::pipeline {

struct Contest {
  const Prepared& prepared;
  const ScoreTable& scores;
  const AssignOptions& options;
  const PlanRequest& request;
  const PlanProbe& probe;
  const FloorSearch& real;

  // One of the plans for the prices as they are and bent: sums of prices rank plans well, but where noises
  // add up to more or less than their sum, dear choices are worth avoiding more or less than the sum says.
  // On fitted layers, or quantized for real, the plan of least predicted loss stays unless another one is
  // better beyond chance. A solver asked for by name has its own plan alone.
  Assignment winner(Searched& searched) const;
  // Predicted against measured noise of random plans, on so many samples at most; nothing where all are predicted alike.
  std::optional<Verification> verify(int64_t plans, int64_t samples) const;

 private:
  using Measure = std::function<Evaluation(const QuantPlan&)>;
  std::vector<Assignment> plans() const;
  Assignment best_of(std::vector<Assignment> plans, const Measure& measure, double least_gain,
                     Searched& searched) const;
  // The fit takes up much of what layers' errors would add up to. A plan that is noisier than that has left the region in which
  // prices hold: they are found again around it, by single steps of each group on fitted layers, and what is solved with
  // them is kept where it is better beyond chance, quantized for real.
  Assignment rescored(Assignment best, Searched& searched) const;
  std::optional<Assignment> near(const ScoreTable& around) const;
};

}  // namespace qtool::pipeline
