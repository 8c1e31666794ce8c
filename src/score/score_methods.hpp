// Score methods, one file each.
#pragma once

#include "qtool/score.hpp"

namespace qtool {
extern const ScoreMethod kSqnr;
}  // namespace qtool
