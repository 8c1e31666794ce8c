// QDQ models in whole numbers alone (layer passes).
//
//   IntegerOnly integers = integer_only(load_model("net.q.onnx"));    // ConvInteger, Mul, BitShift …
#pragma once

#include <string>
#include <vector>

#include "qtool/passes.hpp"

namespace qtool {

// What the products of one layer are added up to.
struct Accumulator {
  std::string layer, value;         // `value`: the sums, with the bias
  int64_t lowest = 0, highest = 0;  // that a sum can be, in any order, whatever the layer reads
};
// A QDQ model in operators on whole numbers alone, those of ONNX. Codes become other codes by multipliers and
// shifts (dyadic(), constants `NAME_multiplier` and `NAME_shift`), which also holds for residual sums, Concat
// and average pools.
struct IntegerOnly {
  Model model;  // opset 13 or newer
  std::vector<Accumulator> accumulators;
  std::vector<std::string> requantized;  // values; the lowered model has them, too
  double multiplier_error = 0;           // the largest relative one
  // Nodes that compute in float before the first codes or behind the last ones.
  std::vector<std::string> float_nodes;
  std::vector<LayerStatus> layers;
};
// Throws Error{kModel, QT-E355} naming the nodes between codes that compute in float, layers in float, and
// those whose sums may leave int32.
IntegerOnly integer_only(const Model& quantized);

}  // namespace qtool
