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
// Values whose channels (the last axis) dense layers read, alone or beside others.
std::vector<ScalableValue> dense_inputs(const Model& prepared);

// What the layers that read a value see of its channels instead: (x − shift) · factor, and behind all channels some of
// them once more. The layers' weights and biases make up for it. What is empty is left as it is.
struct ChannelEdit {
  std::string value;
  std::vector<float> shifts, factors;  // one a channel; factors above 0
  std::vector<int64_t> copies;  // channels, one entry a copy; each carries its share of the weight
};
// How often each of so many channels is there: 1, and 1 more for every copy.
std::vector<int64_t> times_there(const ChannelEdit& edit, size_t channels);
// The model with these edits, in this order. Of a value of scalable_values() what makes it takes factors
// (cross-layer equalization, arXiv 1906.04721, section 4.1); of one of dense_inputs() the LayerNormalization that makes
// it for its layers alone, else nodes in front of them (shifts and factors: Outlier Suppression+, arXiv 2304.09145;
// copies: outlier channel splitting, arXiv 1901.09504). Results equal the model's up to float rounding. Throws
// Error{kModel, QT-E356} for a value that is neither, or that has another number of channels.
Model edit_channels(const Model& prepared, const std::vector<ChannelEdit>& edits);

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
