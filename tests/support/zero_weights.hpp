// Weights for tests that ask for shapes alone.
#pragma once

#include "qtool/graph.hpp"

namespace qtool::test {

// All inputs but the first become constants of zeros.
inline void make_zero_weights(Model& model) {
  Graph& g = model.graph;
  for (size_t i = 1; i < g.inputs.size(); ++i)
    g.initializers[g.inputs[i]].data = Tensor(DType::kFloat, *g.value(g.inputs[i]).shape);
  g.inputs.resize(1);
}

}  // namespace qtool::test
