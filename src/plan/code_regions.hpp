// Which values of a network are worth quantizing: the part of find_sites that looks at neighbours.
//
// Layers and products of two activations read codes, and convolutions make them. Sums, Concat and
// pools run on codes where all they read comes from codes and a node that takes codes reads their
// result: elsewhere a quantizer would only cost precision. Data movement carries codes on, also
// towards its input, so that it moves bytes.
#pragma once

#include <set>

#include "qtool/plan.hpp"

namespace qtool::plan {

// What a node may do, its neighbours left aside.
enum class Part {
  kFloat,
  kLayer,     // weights in codes; reads codes unless it is weights only
  kWeights,   // a layer of which only the weights are codes
  kProduct,   // MatMul of two activations
  kMixer,     // Add, Mul, Concat, average pools: codes to codes
  kMovement,  // the output's codes are the inputs', which are codes of one quantizer
  kFunction,  // of one value: float, or a table, between codes
};

struct NodePart {
  Part part = Part::kFloat;
  std::string reason = {};         // why it stays in float, for parts other than kLayer
  std::vector<size_t> reads = {};  // input slots with activations
  bool makes_codes = false;        // its kernel needs a quantizer behind it (convolutions)
  bool joins = false;  // a mixer that moves codes where its operands have equal parameters (Concat)
};

struct Regions {
  std::set<ValueId> quantized;
  std::map<ValueId, ValueId> shares_with;         // movement: output or input → owner
  std::map<ValueId, std::set<int32_t>> only_for;  // nodes that read codes where others read floats
  std::vector<std::string> reasons;               // by node; empty where it runs on codes
};
// Joining what was moved from one value, all of it for this node alone, is movement: copies of channels, or the pixels
// of a picture in other places.
void find_moves(const Graph& graph, const Uses& uses, std::vector<NodePart>& parts);
// `behind[v]`: the value behind the Relu and Clip that alone read v.
Regions find_regions(const Graph& graph, const Uses& uses, const std::vector<NodePart>& parts,
                     const std::vector<ValueId>& behind);

}  // namespace qtool::plan
