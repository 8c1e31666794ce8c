#include <algorithm>

#include "graph/subgraphs.hpp"
#include "passes/passes.hpp"
#include "qtool/onnx.hpp"

namespace qtool {

namespace {
constexpr int64_t kOldestOpset = 13;  // per-axis DequantizeLinear
constexpr int64_t kHardSwishOpset = 14, kLayerNormalizationOpset = 17;

// The oldest opset that holds what the model does: onnxruntime's optimizers write LayerNormalization into older ones.
int64_t opset_for(const Model& model) {
  int64_t opset =
      std::ranges::any_of(model.graph.nodes,
                          [](const Node& node) { return is(node, "LayerNormalization"); })
          ? kLayerNormalizationOpset
          : kOldestOpset;
  visit_bodies(model,
               [&](const Model& body, const Node&) { opset = std::max(opset, opset_for(body)); });
  return opset;
}

void fold(Model& model, passes::Dequantized dequantized) {
  do {
    passes::fold_zero_products(model);
    passes::fold_constants(model, dequantized);
  } while (passes::inline_branches(model));
}

void run(Model& model, std::initializer_list<void (*)(Model&)> list) {
  for (auto pass : list) {
    pass(model);
    verify(model.graph);
  }
}

void fold_affine(Model& model) { passes::fold_affine(model, {}); }

// What the main graph gets, but for what follows from declared dimensions, which may differ from round to round, and
// for what needs a newer opset than the whole model has.
void prepare_bodies(Model& model) {
  change_bodies(model, [](Model& body, const Node&) {
    run(body, {passes::expand_functions, passes::constants_to_initializers,
               passes::remove_identities, passes::lower_einsum});
    fold(body, passes::Dequantized::kKeep);
    prepare_bodies(body);
    infer_shapes(body);
    if (body.opset() >= kLayerNormalizationOpset) run(body, {passes::fuse_layer_normalization});
    if (body.opset() >= kHardSwishOpset) run(body, {passes::fuse_hard_swish});
    run(body, {fold_affine, passes::matmul_add_to_gemm, fold_affine});
    infer_shapes(body);
    run(body, {passes::fold_offsets});
    remove_dead(body.graph);
  });
  verify(model.graph);
}
}  // namespace

const Node* quantized_node(const Graph& graph) {
  static constexpr std::string_view kTypes[] = {
      "QuantizeLinear",        "DequantizeLinear", "QLinearConv", "QLinearMatMul",
      "DynamicQuantizeLinear", "MatMulInteger",    "ConvInteger"};
  for (const Node& node : graph.nodes) {
    for (std::string_view type : kTypes)
      if (is(node, type) || is(node, type, "com.microsoft")) return &node;
  }
  return nullptr;
}

Model prepare(const Model& model) {
  const int64_t oldest = opset_for(model);
  Model m = model.opset() < oldest ? convert_opset(model, oldest) : model;
  run(m,
      {passes::drop_initializer_inputs, passes::expand_functions, passes::constants_to_initializers,
       passes::widen_floats, passes::remove_identities, passes::lower_einsum});
  do {
    fold(m, passes::Dequantized::kKeep);
    infer_shapes(m);
  } while (passes::fold_shapes(m));
  run(m, {passes::remove_identities, passes::fuse_layer_normalization, passes::fuse_hard_swish,
          fold_affine, passes::matmul_add_to_gemm, fold_affine});
  infer_shapes(m);
  run(m, {passes::fold_offsets});
  prepare_bodies(m);
  infer_shapes(m);
  run(m, {passes::lift_weights, passes::take_in_captures, passes::name_bodies});
  remove_dead(m.graph);
  verify(m.graph);
  infer_shapes(m);
  return m;
}

Model prepare_for_execution(const Model& model, const ExecutionOptions& options) {
  Model m = model;
  run(m, {passes::drop_initializer_inputs, passes::expand_functions,
          passes::constants_to_initializers, passes::lower_einsum});
  fold(m, passes::Dequantized::kFold);
  if (options.fuse) {
    if (options.observe.empty()) {
      passes::remove_identities(m);
      passes::fuse_layer_normalization(m);
      passes::fuse_hard_swish(m);
    }
    infer_shapes(m);
    passes::fold_affine(m, options.observe);
    passes::fuse_gelu(m, options.observe);
    passes::fuse_swish(m, options.observe);
    passes::fuse_pads(m, options.observe);
    passes::fuse_quantizers(m, options.observe);
    if (options.observe.empty()) passes::fuse_lookups(m);
    passes::fuse_activations(m, options.observe);
  }
  remove_dead(m.graph);
  verify(m.graph);
  return m;
}

}  // namespace qtool
