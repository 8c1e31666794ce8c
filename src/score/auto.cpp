// The best score that the model allows.
#include "score/score_methods.hpp"

namespace qtool {
namespace {

ScoreTable run(const Model& model, const Sites& sites, const CalibrationTable& table,
               const SampleSource& source, const ScoreOptions& options) {
  try {
    return kFisher.run(model, sites, table, source, options);
  } catch (const Error& error) {
    if (error.code() != kUnsupportedCode) throw;
    log(LogLevel::kInfo, cat("scoring with sqnr, as fisher cannot: ", error.message()));
    return kSqnr.run(model, sites, table, source, options);
  }
}

}  // namespace

extern const ScoreMethod kAuto = {.name = "auto",
                                  .summary = "fisher, or sqnr where an operator has no gradient",
                                  .needs_candidates = true,
                                  .in_noise = true,
                                  .run = run};

}  // namespace qtool
