// What is left of values whose parameters are found at run time.
#pragma once

#include "qtool/plan.hpp"

namespace qtool::scoring {

// `x` as codes of 8 bits and back: unsigned with one range, as DynamicQuantizeLinear finds it, or signed with a range
// for each row of the last axis.
Tensor run_time_codes(const Tensor& x, ActivationMode mode);

}  // namespace qtool::scoring
