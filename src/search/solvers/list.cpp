#include "search/solvers/records.hpp"

namespace qtool {

const std::vector<const SolverDef*>& all_solvers() {
  using namespace search;
  static const std::vector<const SolverDef*> solvers = {
      &kAmp, &kBranchAndBound, &kBruteForce, &kCq, &kDp, &kLagrange, &kPareto, &kQuadratic,
  };
  return solvers;
}

}  // namespace qtool
