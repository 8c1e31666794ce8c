// BRECQ (arXiv 2102.05426): rounding, scales and biases of a block's layers are learned together, on its output's error weighted by
// what it does to the network's outputs.
#include "quantize/internal.hpp"

namespace qtool {

extern const OptimizerDef kBrecq = {
    .name = "brecq",
    .summary = "cd, then the layers of each residual block are learned together (arXiv 2102.05426)",
    .optimize = [](const OptimizerInput& input) { return find_optimizer("cd").optimize(input); },
    .needs_moments = true,
    .after = "cd",
    .blocks = BlockFit{.weighted = true}};

}  // namespace qtool
