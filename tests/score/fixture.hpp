// A small model with random weights and data, scored.
#pragma once

#include <cmath>

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "qtool/score.hpp"
#include "support/random.hpp"

namespace qtool::test {

// A model text whose inputs but x are weights, random of the declared shapes.
struct Fixture {
  explicit Fixture(const std::string& text) {
    model = model_from_text("<ir_version: 8, opset_import: [\"\": 17]>\n" + text);
    Graph& g = model.graph;
    const std::vector<ValueId> inputs = g.inputs;
    g.inputs = {inputs[0]};
    for (size_t i = 1; i < inputs.size(); ++i)
      g.initializers[inputs[i]].data = normal(*g.value(inputs[i]).shape, i, 0.4);
    model = prepare(model);
    sites = find_sites(model, find_target("ort-cpu"));
    source = random_data(256, 3, {{"x", DType::kFloat, *model.graph.value(inputs[0]).shape}}, 1);
    table = calibrate(model, sites.activation_names(), *source, {});
  }
  ScoreTable score(const std::string& method, ScoreOptions options = {}) const {
    options.method = method;
    options.samples = 256;
    return qtool::score(model, sites, table, *source, options);
  }
  Model model;
  Sites sites;
  CalibrationTable table;
  std::unique_ptr<SampleSource> source;
};

inline const char* const kNet = R"(g (float[n, 3, 8, 8] x, float[8, 3, 3, 3] w1, float[8] b1,
 float[8, 2, 3, 3] w2, float[8] b2, float[8, 10] w3, float[10] b3) => (float[n, 10] y)
{ c = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)  r = Relu(c)
  d = Conv<pads = [1, 1, 1, 1], group = 4, strides = [2, 2]>(r, w2, b2)  s = Relu(d)
  p = GlobalAveragePool(s)  f = Flatten(p)  y = Gemm(f, w3, b3) })";

// LRN has no gradient.
inline const char* const kWithoutGradient =
    R"(g (float[n, 4, 6, 6] x, float[4, 4, 3, 3] w) => (float[n, 4, 4, 4] y)
{ c = Conv(x, w)  y = LRN<size = 3>(c) })";

}  // namespace qtool::test
