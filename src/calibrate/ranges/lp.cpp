#include "calibrate/ranges/clip_search.hpp"
#include "calibrate/ranges/ranges.hpp"

namespace qtool::ranges {

// Large errors weigh a little more than by their square: p = 2.4.
const RangeMethod kLp = {
    .name = "lp",
    .summary = "least mean error to the power of 2.4",
    .choose = [](const ValueStats& stats,
                 const QuantSpec& spec) { return least_error(stats, spec, 2.4); },
};

}  // namespace qtool::ranges
