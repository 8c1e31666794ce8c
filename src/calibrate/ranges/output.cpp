#include "calibrate/ranges/clip_search.hpp"
#include "calibrate/ranges/ranges.hpp"

namespace qtool::ranges {

// Statistics of a value know nothing of its readers: the quantize stage goes on from here.
const RangeMethod kOutput = {
    .name = "output",
    .summary = "least error of the outputs of the layers that read it, weights fitted to it",
    .choose = [](const ValueStats& stats,
                 const QuantSpec& spec) { return least_error(stats, spec, 2); },
};

}  // namespace qtool::ranges
