// Operator layer: one record an operator. The record's `eval` is the operator's specification: plain
// loops, every type that ONNX allows and qtool runs; fast kernels are tested against it.
//
//   const OpDef* op = find_op("Relu", "", opset);
//   std::vector<Tensor> out = op->eval(Call{node, opset, inputs});
//
// A new operator is one file src/ops/<op>.cpp that defines `extern const OpDef kFoo` and one line in
// src/ops/list.cpp.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "qtool/graph.hpp"

namespace qtool {

// Runs a graph that a node carries (If, Loop, Scan); its outer values are the runner's business.
using BodyRunner =
    std::function<std::vector<Tensor>(const Graph& body, std::vector<Tensor> inputs)>;

// One call of an operator: its node (attributes), the opset that gives them meaning, its inputs
// (an undefined Tensor where an optional one is absent). Runs a subgraph through `run_body`.
struct Call {
  const Node& node;
  int64_t opset;
  std::span<const Tensor> inputs;
  const BodyRunner* run_body = nullptr;

  bool has(size_t i) const { return i < inputs.size() && inputs[i].defined(); }
  // Input i; throws Error{kModel} naming the node when absent.
  const Tensor& in(size_t i) const;
  // Number of outputs that the node names.
  size_t outputs() const { return node.outputs.size(); }
  int64_t integer(std::string_view name, int64_t fallback) const {
    return attr_int(node, name, fallback);
  }
  float real(std::string_view name, float fallback) const {
    return attr_float(node, name, fallback);
  }
  std::string text(std::string_view name, std::string fallback) const {
    return attr_string(node, name, std::move(fallback));
  }
  std::vector<int64_t> integers(std::string_view name, std::vector<int64_t> fallback = {}) const {
    return attr_ints(node, name, std::move(fallback));
  }
  // Axes or sizes that older opsets give as attribute `name` and newer ones as input i; `fallback` when neither.
  std::vector<int64_t> integers_or_input(std::string_view name, size_t i,
                                         std::vector<int64_t> fallback = {}) const;
};

// How an operator takes part in quantization.
enum class QuantKind {
  kNone,        // stays in float; `reason` says why
  kLinear,      // weights × activations: Conv, Gemm, MatMul, ConvTranspose
  kActivation,  // Relu, Clip: folded into its producer, the quantizer sits behind it
  kBinary,      // Add, Mul: two activations, own output range, integer kernel
  kJoint,       // Concat: every input and the output share parameters where the target wants it
  kAverage,     // average pools: own output range, integer kernel
  kMovement,    // Reshape, Transpose, MaxPool …: output parameters are the input's
  kFunction,    // Tanh, Gelu …: a function of one value, on codes a table of 256 results
};
// An input that may be a weight although no kernel reads its codes: only its storage is codes.
struct StoredInput {
  int slot = -1;               // −1: none
  std::string_view name = "";  // told apart by it where a node has several; else empty
};
struct QuantRule {
  QuantKind kind = QuantKind::kNone;
  int weight_input = -1;                          // kLinear
  int bias_input = -1;                            // kLinear; −1: none
  int64_t (*weight_axis)(const Node&) = nullptr;  // kLinear: output-channel axis of the weight
  std::string_view reason = "no integer kernel for this operator";  // kNone
  // kLinear: the output is a product of the weight's rows with columns of the input, which are patches
  // under the kernel, or its last axis where the weight is a matrix.
  bool column_product = false;
  bool sum = false;  // kBinary: the operands are added
  // Why this very node stays in float although its operator need not; "" when it takes part.
  std::string_view (*blocked)(const Node&) = nullptr;
  // The output's range where the operator implies it (Softmax, Sigmoid, Tanh); equal: unknown.
  double lowest = 0, highest = 0;
  // kFunction, kActivation: inputs outside give the same result as the nearer end; nullptr: none do.
  std::pair<double, double> (*sensitive)(const Node&) = nullptr;
  bool bounded = false;  // the same, with the ends in inputs 1 and 2 (Clip)
  int fill_input = -1;   // kMovement: the input that holds a value which is filled in (Pad)
  std::array<StoredInput, 2> stored = {};
  int64_t stored_axis = 0;  // of the stored inputs: one scale for an index of it
  bool picks_rows = false;  // the output is rows of the stored input (Gather)
};

struct OpDef {
  std::string_view type;
  std::string_view domain = "";
  int64_t since = 1;  // oldest opset whose meaning `eval` has
  std::vector<Tensor> (*eval)(const Call&) = nullptr;
  // Multiply-accumulates of one call, from input and output shapes; nullptr: none worth counting.
  int64_t (*macs)(const Node&, std::span<const Shape> inputs,
                  std::span<const Shape> outputs) = nullptr;
  QuantRule quant = {};
  double tolerance = 1e-5;    // of a fast kernel against eval, relative to the output's range
  bool deterministic = true;  // false: not constant-folded (random operators)
  bool containers = false;    // takes sequences and empty optionals among its inputs
};

// The record for an operator at an opset of its domain; nullptr when qtool has none.
const OpDef* find_op(std::string_view type, std::string_view domain, int64_t opset);
// Records of all operators, sorted by domain and type.
std::vector<const OpDef*> all_ops();

// Evaluates a node by its record; adds the node to errors; throws Unsupported by name when there is none.
std::vector<Tensor> eval_node(const Node& node, int64_t opset, std::span<const Tensor> inputs,
                              const BodyRunner* run_body = nullptr);
// Evaluates a graph node by node, with the graphs inside it; `outer` gives the values that it captures.
std::vector<Tensor> eval_graph(const Graph& graph, const std::map<std::string, int64_t>& opsets,
                               std::vector<Tensor> inputs,
                               const std::function<Tensor(const std::string& name)>& outer);

// --- shared by spatial operators (Conv, pools) ----------------------------------------------------
// Resolved geometry of a convolution or pool: auto_pad worked out, everything checked (positive
// strides, output ≥ 1 …). All vectors have one entry a spatial dimension.
struct Window {
  std::vector<int64_t> kernel, strides, dilations, pads_begin, pads_end, input, output;
};
// ONNX "Conv"/"MaxPool" attribute rules; `kernel` is taken from the attribute or, for Conv, the weight.
Window resolve_window(const Node& node, const Shape& input, std::vector<int64_t> kernel);

// Axis in [0, rank); throws Error{kModel}.
int64_t normalize_axis(int64_t axis, int64_t rank, const Node& node);

}  // namespace qtool
