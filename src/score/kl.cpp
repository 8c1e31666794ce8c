// KL divergence of the output distributions from the float network's.
#include "score/one_at_a_time.hpp"
#include "score/output_error.hpp"

namespace qtool {

extern const ScoreMethod kKl = {
    .name = "kl",
    .summary = "KL of the output distributions, one group at a time",
    .run = [](const Model& model, const Sites& sites, const CalibrationTable& table,
              const SampleSource& source, const ScoreOptions& options) {
      return scoring::one_at_a_time({"kl", scoring::divergence}, model, sites, table, source,
                                    options);
    }};

}  // namespace qtool
