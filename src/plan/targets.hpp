// Targets, one file each under targets/.
#pragma once

#include "qtool/plan.hpp"

namespace qtool {
extern const Target kOrtCpu;
}  // namespace qtool
