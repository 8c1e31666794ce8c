#include <algorithm>
#include <optional>

#include "exec/kernel.hpp"
#include "qtool/ops.hpp"

namespace qtool {
namespace {

// The operator's specification, followed by what passes fused into the node: a residual sum, an
// activation, a clamp of codes.
class ReferenceKernel : public Kernel {
 public:
  ReferenceKernel(const Node& node, int64_t opset) : node_(node), opset_(opset), base_(node) {
    residual_ = attr_int(node, "residual_input", -1);
    if (residual_ >= 0) base_.inputs.resize(static_cast<size_t>(residual_));
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    std::vector<Tensor> plain;
    plain.reserve(inputs.size());
    for (Array& input : inputs) {
      plain.push_back(input.plain());
      input = Array();
    }
    std::span<const Tensor> own = plain;
    if (residual_ >= 0) own = own.first(static_cast<size_t>(residual_));
    std::vector<Tensor> results = eval_node(base_, opset_, own);
    if (results.empty()) return;
    if (residual_ >= 0)
      results[0] = apply("Add", {results[0], plain[static_cast<size_t>(residual_)]});
    results[0] = clamp_codes(activate(std::move(results[0])));
    for (size_t i = 0; i < outputs.size() && i < results.size(); ++i)
      outputs[i] = Array(std::move(results[i]));
  }

  std::string name() const override { return "reference"; }

 private:
  Tensor apply(std::string type, std::vector<Tensor> inputs,
               std::optional<float> alpha = std::nullopt) const {
    constexpr int64_t kOpset = 20;  // all activations have their present meaning
    Node node;
    node.name = node_.name;
    node.type = std::move(type);
    node.inputs.assign(inputs.size(), ValueId::kNone);
    node.outputs = {node_.outputs[0]};
    if (alpha) set_attribute(node, "alpha", *alpha);
    return std::move(eval_node(node, kOpset, inputs)[0]);
  }

  Tensor activate(Tensor value) const {
    const std::string kind = attr_string(node_, "activation", "");
    if (kind.empty()) return value;
    if (kind == "Clip") {
      return apply(kind, {value, Tensor::scalar(attr_float(node_, "activation_alpha", 0)),
                          Tensor::scalar(attr_float(node_, "activation_beta", 0))});
    }
    if (kind == "LeakyRelu" || kind == "Swish")
      return apply(kind, {value}, attr_float(node_, "activation_alpha", 0));
    return apply(kind, {value});
  }

  Tensor clamp_codes(Tensor codes) const {
    if (!find_attribute(node_, "code_min")) return codes;
    const auto lo = static_cast<double>(attr_int(node_, "code_min", 0)),
               hi = static_cast<double>(attr_int(node_, "code_max", 0));
    for (int64_t i = 0; i < codes.size(); ++i)
      codes.set_number(i, std::clamp(codes.number(i), lo, hi));
    return codes;
  }

  const Node& node_;
  int64_t opset_;
  Node base_;
  int64_t residual_ = -1;
};

}  // namespace

std::unique_ptr<Kernel> make_reference_kernel(const Node& node, int64_t opset) {
  return std::make_unique<ReferenceKernel>(node, opset);
}

}  // namespace qtool
