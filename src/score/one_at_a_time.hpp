// One group at a time at one candidate, all others float, by how far the outputs move. The prefix up to the
// group runs once a chunk; each candidate re-runs what follows.
#pragma once

#include "score/score_methods.hpp"

namespace qtool::scoring {

inline constexpr int64_t kErrorSize = 256;

struct OneAtATime {
  std::string_view name;
  double (*distance)(const std::vector<Tensor>& want, const std::vector<Tensor>& have);
  bool keeps_error = false;  // fills GroupScore::error
};
ScoreTable one_at_a_time(const OneAtATime& method, const Model& model, const Sites& sites,
                         const CalibrationTable& table, const SampleSource& source,
                         const ScoreOptions& options);

}  // namespace qtool::scoring
