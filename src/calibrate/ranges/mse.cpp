#include "calibrate/ranges/clip_search.hpp"
#include "calibrate/ranges/ranges.hpp"

namespace qtool::ranges {

const RangeMethod kMse = {
    .name = "mse",
    .summary = "least mean square error of quantization",
    .choose = [](const ValueStats& stats,
                 const QuantSpec& spec) { return least_error(stats, spec, 2); },
};

}  // namespace qtool::ranges
