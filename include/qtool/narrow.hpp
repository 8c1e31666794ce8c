// The narrow network out of a file with nested codes, without data or the float model (layer quantize).
//
//   Model narrow = narrowed(load_model("net.w6.onnx"), 3);
#pragma once

#include "qtool/graph.hpp"

namespace qtool {

// The model with nested codes read at `bits`, as its initializer weight_bits would have it, bit for bit: indices keep
// those bits alone and lie in the smallest ONNX type that holds them (opset 21 for 4, 25 for 2 bits), codebooks and
// biases of other widths are gone. A layer that is narrower already stays as it is, and one whose codes cannot be read
// at so few bits is read at the fewest that they can be. Throws Error{kUsage, QT-E149} when the model has no nested
// codes, or none of so few bits.
Model narrowed(Model model, int bits);

}  // namespace qtool
