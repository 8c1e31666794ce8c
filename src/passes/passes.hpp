// The single passes; each leaves a graph that verify() accepts.
#pragma once

#include "qtool/graph.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool::passes {

// Initializers that are also listed as graph inputs (IR 3) are constants, not inputs.
void drop_initializer_inputs(Model& model);
// Constant nodes become initializers.
void constants_to_initializers(Model& model);
// Identity, and Dropout in inference, vanish.
void remove_identities(Model& model);
// The same in bodies, at every depth.
void remove_identities_in_bodies(Model& model);
// Nodes whose inputs are all constant are evaluated. kKeep: weights stay behind their DequantizeLinear, as large
// ones always do.
enum class Dequantized { kFold, kKeep };
void fold_constants(Model& model, Dequantized dequantized);
// Whole numbers times zero are zero, whatever they are; exporters keep inputs alive so.
void fold_zero_products(Model& model);
// Shape, Size, and Gather of a Shape become constants where value.shape knows the answer: true of data that
// fits the model's declared inputs. False: there was none.
bool fold_shapes(Model& model);
// An If whose condition is constant becomes the branch that it takes. False: there was none.
bool inline_branches(Model& model);
// What an operator of com.microsoft means in operators of ONNX, for those that have no record; absent: not known.
std::optional<FunctionBody> contrib_function(const Model& model, const Node& node);
// Calls of the model's own functions, and operators without a record that ONNX defines by others, are
// replaced by their bodies.
void expand_functions(Model& model);
// BatchNormalization and constant Mul/Add behind Conv, ConvTranspose, Gemm fold into weight and bias,
// unless the value between is to be observed.
void fold_affine(Model& model, const std::set<std::string>& observe);
// A constant that is added to what convolutions read moves into their biases.
void fold_offsets(Model& model);
// Weights and biases inside the bodies of If, Loop and Scan become constants of the main graph, which bodies
// capture.
void lift_weights(Model& model);
// The same for what a DequantizeLinear in a body reads; what several bodies have alike is one constant then.
void lift_codes(Model& model);
// What a body's quantizable nodes read from around it they read behind an Identity of its own.
void take_in_captures(Model& model);
// Values and nodes inside of bodies get names that are unique in the whole model: the path to them, `if/conv`.
void name_bodies(Model& model);
// Einsum of two operands becomes Transpose, Reshape and MatMul, where the sizes allow it.
void lower_einsum(Model& model);
// float16 and bfloat16 become float32, which holds all their values. The model's inputs keep their types in front
// of casts, its outputs get theirs back by restore_output_types().
void widen_floats(Model& model);
// The model at this opset or a newer one, for a fusion whose result needs it; nothing, and the model as it is,
// where ONNX cannot convert it.
std::optional<Model> at_opset(const Model& model, int64_t opset);
// MatMul of a matrix followed by a constant row Add becomes Gemm.
void matmul_add_to_gemm(Model& model);
// x · clip(x + 3, 0, 6) / 6 and x · HardSigmoid(x) become HardSwish (opset 14).
void fuse_hard_swish(Model& model);
// The nine steps of a layer normalization become one node (opset 17).
void fuse_layer_normalization(Model& model);
// x · (1 + erf(x / √2)) / 2 becomes Gelu, unless a value between is to be observed.
void fuse_gelu(Model& model, const std::set<std::string>& observe);
// A Pad with zeros, or with the zero point of codes, becomes the pads of the convolution that reads it.
void fuse_pads(Model& model, const std::set<std::string>& observe);
// x · Sigmoid(x) becomes Swish, unless the value between is to be observed.
void fuse_swish(Model& model, const std::set<std::string>& observe);
// Q/DQ pairs that stay in float become FakeQuantize, unless a value between is to be observed.
void fuse_quantizers(Model& model, const std::set<std::string>& observe);
// Of a lowered model: look-ups in a row, and sums and products of functions of one value, become one look-up.
void fuse_lookups(Model& model);
// Activations, the bias of a MatMul and residual Add run inside their producer.
void fuse_activations(Model& model, const std::set<std::string>& observe);

// Factors alone, taken by what makes the value; false, and the model as it was, where nothing can take them.
bool scale_channels(Model& model, const ChannelEdit& edit);
// In front of dense layers. Throws Error{kModel, QT-E356}. Nodes are left unsorted.
void edit_dense_input(Model& model, const ChannelEdit& edit);

// The float32 constant behind a value that nobody else reads, also not as an output of the graph, so that it may be
// changed; nullptr: none.
const Tensor* own_constant(const Graph& graph, const Uses& uses, ValueId id);

// The constant behind a value, or nullptr; looks at initializers only.
inline const Tensor* constant(const Graph& graph, ValueId id) {
  return id == ValueId::kNone ? nullptr : graph.constant(id);
}
// The only node that reads a value which is no graph output; −1 otherwise.
int32_t sole_consumer(const Uses& uses, ValueId value);

}  // namespace qtool::passes
