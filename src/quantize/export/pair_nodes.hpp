// Pairs of QuantizeLinear and DequantizeLinear around activations, and biases behind their DequantizeLinear.
#pragma once

#include "quantize/export/weight_nodes.hpp"

namespace qtool::qdq {

// value → (Clip →) Q → DQ → everything that read value. A graph output keeps its name behind the DQ. Where codes are
// narrow for layers alone they have a pair of their own behind that of the branch.
void quantize_activation(Graph& g, const ActivationSite& site, const ActivationCodes& codes,
                         const ExportStyle& style);

// The layer's bias: int32 in units of input · weight behind DequantizeLinear, or float where no integer kernel takes
// that. `input`: parameters of what the layer reads; nullptr where it reads floats.
ValueId append_bias(Graph& g, WeightNodes& weights, const LayerSite& site,
                    const LayerResult& result, const QParams* input);

}  // namespace qtool::qdq
