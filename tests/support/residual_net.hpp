// A small calibrated network with a residual block of random weights.
#pragma once

#include "support/calibrated_net.hpp"

namespace qtool::test {

// Two convolutions of so many channels, the second in `groups`, and a dense layer of 5 outputs; `last`: a product with a
// matrix of 7 columns behind it.
struct ResidualNet : CalibratedNet {
  explicit ResidualNet(int channels = 8, int groups = 1, bool last = false)
      : CalibratedNet(cat(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[)",
                          channels, ", 3, 3, 3] w1, float[", channels, "] b1, float[", channels,
                          ", ", channels / groups, ", 3, 3] w2, float[5, ", channels,
                          "] w3, float[5] b3", last ? ", float[5, 7] w4" : "", ") => (float[n, ",
                          last ? 7 : 5, R"(] y)
{ [conv1] c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  [relu1] r1 = Relu(c1)
  [conv2] c2 = Conv <pads = [1, 1, 1, 1], group = )",
                          groups, R"(> (r1, w2)  [add] s = Add(c2, r1)  [relu2] r2 = Relu(s)
  [pool] p = GlobalAveragePool(r2)  [flatten] f = Flatten(p)  [dense] )",
                          last ? "d" : "y", " = Gemm <transB = 1> (f, w3, b3)",
                          last ? "  [last] y = MatMul (d, w4)" : "", " }")) {}
};

}  // namespace qtool::test
