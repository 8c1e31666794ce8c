// What text, JSON and HTML of the stages share.
#pragma once

#include <map>
#include <string>

#include "qtool/report.hpp"

namespace qtool::report {

// Each layer's part of the predicted loss that its weights cause, by layer name; sums to at most 1.
using LossShares = std::map<std::string, double>;
LossShares loss_shares(const QuantPlan& plan, const ScoreTable& scores);
// Relative noise power as a signal-to-noise ratio.
double relative_noise_db(double noise);

}  // namespace qtool::report
