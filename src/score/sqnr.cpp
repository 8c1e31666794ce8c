// Relative noise power at the network's outputs (arXiv 2302.05397, phase 1).
#include "score/one_at_a_time.hpp"
#include "score/output_error.hpp"

namespace qtool {

extern const ScoreMethod kSqnr = {
    .name = "sqnr",
    .summary = "relative output noise, one group at a time, prefix shared",
    .in_noise = true,
    .run = [](const Model& model, const Sites& sites, const CalibrationTable& table,
              const SampleSource& source, const ScoreOptions& options) {
      return scoring::one_at_a_time({"sqnr", scoring::relative_noise}, model, sites, table, source,
                                    options);
    }};

}  // namespace qtool
