// A small network with random weights, calibrated on random data.
#pragma once

#include "qtool/calibrate.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "qtool/plan.hpp"

namespace qtool::test {

// `text` is a model whose inputs but x, [n, 3, 6, 6], become constants.
struct CalibratedNet {
  Model model;
  Sites sites;
  CalibrationTable table;
  std::unique_ptr<SampleSource> source;

  explicit CalibratedNet(const std::string& text) : model(model_from_text(text)) {
    Rng rng(7);
    for (ValueId v : std::vector<ValueId>(model.graph.inputs)) {
      const Value& value = model.graph.value(v);
      if (value.name == "x") continue;
      Tensor t(DType::kFloat, *value.shape);
      for (float& w : t.mutable_data<float>()) w = static_cast<float>(rng.normal() * 0.3);
      model.graph.initializers[v].data = t;
    }
    model = prepare(model);
    sites = find_sites(model, find_target("ort-cpu"));
    source = random_data(64, 1, {{"x", DType::kFloat, {-1, 3, 6, 6}}}, 1);
    table = calibrate(model, sites.activation_names(), *source, {});
  }
};

}  // namespace qtool::test
