// GPTQ (arXiv 2210.17323) towards the corrected target, each row's scale by output error.
#include "quantize/optimizers/gram_rows.hpp"

namespace qtool {

extern const OptimizerDef kGptq = {
    .name = "gptq",
    .summary = "error fed forward column by column, upstream error corrected",
    .optimize = [](const OptimizerInput& input) { return qdq::optimize_rows(input, nullptr); },
    .needs_moments = true};

}  // namespace qtool
