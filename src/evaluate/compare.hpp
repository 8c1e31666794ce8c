#pragma once

#include <string>

#include "qtool/evaluate.hpp"

namespace qtool {

// What is wrong with `have`, "" when it equals `want` within the tolerances. `max_error` grows to the
// largest finite difference.
std::string mismatch(const Tensor& have, const Tensor& want, const VerifyOptions& tolerance,
                     double& max_error);

}  // namespace qtool
