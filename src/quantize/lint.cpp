// The rules of docs/export.md, checked on the graph that is about to be written.
#include <cmath>

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

class Lint {
 public:
  explicit Lint(const Model& model) : g_(model.graph), uses_(uses_of(g_)) {}

  void run() const {
    for (const Node& node : g_.nodes) {
      if (is(node, "QuantizeLinear")) parameters(node);
      if (is(node, "DequantizeLinear")) parameters(node);
    }
  }

 private:
  [[noreturn]] static void fail(const Node& node, std::string_view rule) {
    throw_internal(cat("export lint: ", node_text(node), ": ", rule));
  }

  void parameters(const Node& node) const {
    if (node.inputs.size() < 3 || node.inputs[2] == ValueId::kNone)
      fail(node, "no explicit zero point");
    const Tensor* scale = g_.constant(node.inputs[1]);
    const Tensor* zero = g_.constant(node.inputs[2]);
    if (!scale || !zero) return;  // the model's own
    if (scale->shape() != zero->shape()) fail(node, "scale and zero point differ in shape");
    for (float s : scale->data<float>())
      if (!std::isnormal(s) || s < 0) fail(node, "a scale is not a normal positive number");
    if (is(node, "QuantizeLinear") && scale->rank() != 0)
      fail(node, "an activation's scale is no scalar");
    if (is(node, "QuantizeLinear") && uses_.consumers[index(node.inputs[0])].size() != 1)
      fail(node, "its input has another float reader");
    if (is(node, "DequantizeLinear") && zero->dtype() == DType::kInt32) {
      for (int32_t z : zero->data<int32_t>())
        if (z) fail(node, "an int32 bias has a zero point");
    }
  }

  const Graph& g_;
  Uses uses_;
};

}  // namespace

void lint_export(const Model& model, const std::string& target) {
  (void)find_target(target);
  Lint(model).run();
  check_model(model);
}

namespace qdq {

int64_t predict_fused(const Model& model, const std::string& target) {
  (void)find_target(target);
  int64_t fused = 0;
  for (const LayerStatus& layer : lower_qdq(model).layers) fused += layer.integer;
  return fused;
}

}  // namespace qdq

}  // namespace qtool
