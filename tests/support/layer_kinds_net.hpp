// A small calibrated network with a layer of every kind, for tests of number formats.
#pragma once

#include "qtool/quantize.hpp"
#include "support/calibrated_net.hpp"

namespace qtool::test {

// Convolutions (one with odd channels, one grouped, one transposed) and dense layers of both layouts.
struct LayerKindsNet : CalibratedNet {
  LayerKindsNet()
      : CalibratedNet(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[8, 3, 3, 3] w1, float[8] b1, float[8, 4, 3, 3] w2, float[8, 6, 2, 2] w3, float[5, 6] w4, float[5, 7] w5) => (float[n, 7] y)
{ [conv1] c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  [relu1] r1 = Relu(c1)  [conv2] c2 = Conv <pads = [1, 1, 1, 1], group = 2> (r1, w2)
  [up] u = ConvTranspose (c2, w3)  [pool] p = GlobalAveragePool(u)  [flatten] f = Flatten(p)
  [dense] d = Gemm <transB = 1> (f, w4)  [last] y = MatMul (d, w5) })") {}

  QuantPlan plan(const WeightFormat& format, int bits, int activation_bits = 8) const {
    QuantPlan plan = uniform_plan(sites, {bits, activation_bits});
    set_format(plan, format);
    for (LayerChoice& layer : plan.layers) layer.method = "cd";
    return plan;
  }
};

// The widest width of every format, and of every value of its options.
inline std::vector<std::pair<WeightFormat, int>> cases() {
  std::vector<std::pair<WeightFormat, int>> all;
  for (const FormatDef* def : formats()) {
    std::vector<std::string> texts = {std::string(def->name)};
    for (const FormatOption& option : def->options)
      for (std::string_view value : option.values)
        texts.push_back(cat(def->name, ":", option.name, "=", value));
    for (const std::string& text : texts) {
      const WeightFormat format = parse_format(text);
      all.emplace_back(format, most_bits(format));
    }
  }
  return all;
}

inline QuantizeOptions export_as(std::string_view style) {
  QuantizeOptions options;
  options.export_style = style;
  return options;
}

}  // namespace qtool::test
