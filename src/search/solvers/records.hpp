// The solver records, one file each; the list is in list.cpp.
#pragma once

#include "qtool/search.hpp"

namespace qtool::search {

extern const SolverDef kAmp, kBranchAndBound, kBruteForce, kCq, kDp, kLagrange, kPareto, kQuadratic;

}  // namespace qtool::search
