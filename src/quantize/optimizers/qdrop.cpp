// QDrop (arXiv 2203.05740): blocks as in BRECQ, unweighted; half of the elements that a block reads are the float network's, another
// half in every step.
#include "quantize/internal.hpp"

namespace qtool {

extern const OptimizerDef kQdrop = {
    .name = "qdrop",
    .summary = "the same, on inputs of blocks that are half float (arXiv 2203.05740)",
    .optimize = [](const OptimizerInput& input) { return find_optimizer("cd").optimize(input); },
    .needs_moments = true,
    .after = "cd",
    .blocks = BlockFit{.mixed = 0.5}};

}  // namespace qtool
