// GPTQ's solution, then coordinate descent over codes and scales.
#include "quantize/optimizers/gram_rows.hpp"

namespace qtool {

extern const OptimizerDef kCd = {
    .name = "cd",
    .summary = "gptq, then coordinate descent over codes and scales",
    .optimize =
        [](const OptimizerInput& input) {
          return qdq::optimize_rows(
              input, [](const qdq::RowsProblem& p, std::vector<qdq::RowCodes>& rows) {
                constexpr int kPasses = 10;
                qdq::coordinate_descent(p, kPasses, rows);
              });
        },
    .needs_moments = true};

}  // namespace qtool
