// Operators that move elements and compute nothing. Their own evaluation, on numbered elements, says
// where each element of the result came from.
#include <algorithm>

#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

// Numbers from `first` on; in double, which every operator takes and which holds them exactly.
Tensor numbered(const Shape& shape, int64_t first) {
  Tensor t = Tensor::uninitialized(DType::kDouble, shape);
  auto out = t.mutable_data<double>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(first) + double(i);
  return t;
}

}  // namespace

Gradients reshape(const VjpCall& call) {
  const Tensor& dy = call.dy();
  if (dy.dtype() != DType::kFloat || dy.size() != element_count(call.shapes[0]))
    throw_unsupported(cat(node_text(call.node), ": no gradient of this use"));
  return {dy.reshaped(call.shapes[0])};
}

Gradients movement(const VjpCall& call) {
  Node node = call.node;
  remove_attribute(node, "value");  // of Pad: zero, which no element has as its number
  std::vector<Tensor> inputs(call.inputs.begin(), call.inputs.end());
  Gradients found(inputs.size());
  std::vector<int64_t> ends;  // number behind the last element, by input
  std::vector<float*> data(inputs.size(), nullptr);
  int64_t next = 1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (call.wanted[i]) {
      inputs[i] = numbered(call.shapes[i], next);
      next += inputs[i].size();
      found[i] = zeros(call.shapes[i]);
      data[i] = found[i].mutable_data<float>().data();
    } else if (inputs[i].defined() && inputs[i].dtype() == DType::kFloat) {
      inputs[i] = Tensor(DType::kDouble, inputs[i].shape());
    }
    ends.push_back(next);
  }
  const std::vector<Tensor> sources = eval_node(node, call.opset, inputs);
  for (size_t o = 0; o < call.gradients.size() && o < sources.size(); ++o) {
    if (!call.gradients[o].defined()) continue;
    const auto d = call.gradients[o].data<float>();
    const auto from = sources[o].data<double>();
    size_t input = 0;
    for (size_t k = 0; k < d.size(); ++k) {
      const auto number = static_cast<int64_t>(from[k]);
      if (number == 0) continue;
      while (number >= ends[input]) ++input;
      while (input > 0 && number < ends[input - 1]) --input;
      data[input][number - (input > 0 ? ends[input - 1] : 1)] += d[k];
    }
  }
  return found;
}

}  // namespace qtool::gradient
