// Relative noise power as `sqnr` has it, with the errors themselves: the noise of a plan is about
// ‖Σ error‖², so that their Gram matrix holds what choices do to each other, for the price of the
// diagonal.
#include "score/one_at_a_time.hpp"
#include "score/output_error.hpp"

namespace qtool {

extern const ScoreMethod kInteraction = {
    .name = "interaction",
    .summary = "sqnr that keeps the error vectors, for --solver quadratic",
    .in_noise = true,
    .run = [](const Model& model, const Sites& sites, const CalibrationTable& table,
              const SampleSource& source, const ScoreOptions& options) {
      return scoring::one_at_a_time({"interaction", scoring::relative_noise, true}, model, sites,
                                    table, source, options);
    }};

}  // namespace qtool
