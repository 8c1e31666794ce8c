// Constants for the inputs of networks that tests write as text.
#pragma once

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "support/random.hpp"

namespace qtool::test {

// All inputs but the first become constants of zeros, for tests that ask for shapes alone.
inline void make_zero_weights(Model& model) {
  Graph& g = model.graph;
  for (size_t i = 1; i < g.inputs.size(); ++i)
    g.initializers[g.inputs[i]].data = Tensor(DType::kFloat, *g.value(g.inputs[i]).shape);
  g.inputs.resize(1);
}

// The prepared network, whose inputs named "w…" are constants of noise.
inline Model with_weights(const std::string& text) {
  Model m = model_from_text(text);
  for (const ValueId v : std::vector<ValueId>(m.graph.inputs)) {
    const Value& value = m.graph.value(v);
    if (value.name[0] == 'w') m.graph.initializers[v].data = normal(*value.shape, 1);
  }
  return prepare(m);
}

}  // namespace qtool::test
