#include "exec/kernel.hpp"
#include "qtool/ops.hpp"

namespace qtool {
namespace {

class ReferenceKernel : public Kernel {
 public:
  ReferenceKernel(const Node& node, int64_t opset) : node_(node), opset_(opset) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    std::vector<Tensor> plain;
    plain.reserve(inputs.size());
    for (Array& input : inputs) {
      plain.push_back(input.plain());
      input = Array();
    }
    std::vector<Tensor> results = eval_node(node_, opset_, plain);
    for (size_t i = 0; i < outputs.size() && i < results.size(); ++i) outputs[i] = Array(std::move(results[i]));
  }

  std::string name() const override { return "reference"; }

 private:
  const Node& node_;
  int64_t opset_;
};

}  // namespace

std::unique_ptr<Kernel> make_reference_kernel(const Node& node, int64_t opset) {
  return std::make_unique<ReferenceKernel>(node, opset);
}

}  // namespace qtool
