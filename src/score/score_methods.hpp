// Score methods, one file each.
#pragma once

#include "qtool/score.hpp"

namespace qtool {
extern const ScoreMethod kAuto, kFisher, kSqnr;
}  // namespace qtool
