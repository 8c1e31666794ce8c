// Pass layer: graphs in, equal graphs out. Preparation for quantization, fusion for execution, and
// lowering of Q/DQ patterns to integer operators.
//
//   Model float_net = prepare(load_model("net.onnx"));        // batch norm folded, constants folded
//   Lowered integer = lower_qdq(load_model("net.q.onnx"));    // QLinearConv … where the pattern allows
#pragma once

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "qtool/graph.hpp"

namespace qtool {

// What quantization works on: opset 13 or newer, no Constant, Identity or Dropout nodes, constants
// folded, batch norm and affine neighbours folded into layers, MatMul + bias as Gemm, shapes inferred.
// Names of surviving values and nodes are kept; results equal the original's up to float rounding.
Model prepare(const Model& model);

struct ExecutionOptions {
  std::set<std::string> observe;  // names of values that must survive
  bool fuse = true;
};
// The same without changes that a person would see: constants, dead code, fusion of activations and
// residual sums into their producers (attributes "activation", "residual_input").
Model prepare_for_execution(const Model& model, const ExecutionOptions& options);

// A layer that reads a value, seen by the value's channels.
struct ChannelReader {
  ValueId weight_value = ValueId::kNone;
  const Tensor* weight = nullptr;  // of the model that was asked
  int64_t row_axis = 0, channel_axis = 1, groups = 1;
  int64_t channels() const;  // of its input
  void for_each(
      const std::function<void(int64_t row, int64_t channel, size_t element)>& visit) const;
};
// A value whose channels (axis 1) may each be multiplied by a positive number while the model computes
// what it did: layers alone read it, and a layer or a constant factor makes it, behind nothing but
// operators that pass factors on (Relu, pools, a constant Add).
struct ScalableValue {
  std::string name;
  std::vector<ChannelReader> readers;
};
std::vector<ScalableValue> scalable_values(const Model& prepared);
// Values of three dimensions and more whose channels (the last axis) dense layers read, alone or beside others: the
// factors go into the LayerNormalization that makes the value for them alone, else into a Mul in front of them
// (SmoothQuant, arXiv 2211.10438).
std::vector<ScalableValue> dense_inputs(const Model& prepared);
// The model with the channels of these values multiplied (cross-layer equalization, arXiv 1906.04721,
// section 4.1), for the readers that scalable_values() or dense_inputs() name. Results equal the model's up to float
// rounding. Throws Error{kModel, QT-E356} for a value that
// is not scalable or has another number of channels.
Model scale_channels(const Model& prepared,
                     const std::map<std::string, std::vector<float>>& factors);

// A graph input of fixed shape on which no result depends, or a whole number that only chooses the branches
// of Ifs by comparison with constants.
struct SelectorInput {
  std::string name;
  bool unread = false;
  std::vector<int64_t> compared;  // the constants, in increasing order; empty when unread
};
std::vector<SelectorInput> selector_inputs(const Model& model);

// The first node that is part of an already quantized model (Q, DQ, integer operators); nullptr: none.
const Node* quantized_node(const Graph& graph);

// How one layer of a QDQ model runs.
struct LayerStatus {
  std::string name, type;
  bool integer = false;
  std::string reason;         // why not, when it does not
  bool weight_codes = false;  // it reads floats, and its weight is codes behind DequantizeLinear
};
struct Lowered {
  Model model;
  std::vector<LayerStatus> layers;  // every node with a quantization rule other than none, in order
};
// Q/DQ patterns become QLinearConv, QGemm, QLinearAdd … on codes; what does not match stays in float
// with its Q and DQ nodes, and says why. Results equal the unlowered model's up to one code.
Lowered lower_qdq(const Model& model);

// Whether no pair of neighbours in a row of codes can leave int16 when multiplied by u8 inputs:
// pairs from the row's start, and pairs of channels within one kernel position, which are what
// kernels form. `row` is in (kernel position, input channel) order.
bool pair_sums_fit(std::span<const int8_t> row, int64_t channels);

// Layers of a lowered model with u8 activations in which two neighbouring products along the reduction
// ((kernel position, channel) order) may exceed an int16, which x86 without VNNI saturates.
struct SaturatingLayer {
  std::string name;
  int64_t rows = 0, of = 0;  // output channels that may saturate, all output channels
};
std::vector<SaturatingLayer> saturating_layers(const Model& lowered);

// What a BatchNormalization remembers of the value in front of it, by channel.
struct RunningStatistics {
  std::string value;
  std::vector<float> mean, variance;
};
// Of the model as it was loaded, in graph order; prepare() folds normalization away.
std::vector<RunningStatistics> running_statistics(const Model& model);

}  // namespace qtool
