#include "ops/convolution.hpp"

namespace qtool {

Convolution resolve_convolution(const Call& call, const Tensor& input, const Tensor& weight) {
  require(weight.rank() == input.rank() && input.rank() >= 3, call, "input ",
          shape_text(input.shape()), " and weight ", shape_text(weight.shape()),
          " must have the same rank, 3 or more");
  const std::vector<int64_t> kernel(weight.shape().begin() + 2, weight.shape().end());
  require(call.integers("kernel_shape", kernel) == kernel, call,
          "kernel_shape is not that of the weight ", shape_text(weight.shape()));
  const int64_t groups = call.integer("group", 1);
  require(groups >= 1 && groups <= input.dim(1) && input.dim(1) == weight.dim(1) * groups, call,
          "input ", shape_text(input.shape()), " does not fit weight ", shape_text(weight.shape()),
          " in ", groups, " groups");
  require(weight.dim(0) % groups == 0, call, weight.dim(0), " filters in ", groups, " groups");
  const Window window = resolve_window(call.node, input.shape(), kernel);
  return {to_window3(call, window),
          input.dim(0),
          input.dim(1),
          weight.dim(0),
          groups,
          spatial_shape(input.dim(0), weight.dim(0), window.output)};
}

int64_t convolution_macs(std::span<const Shape> inputs, std::span<const Shape> outputs,
                         size_t weight) {
  if (inputs.size() <= weight || outputs.empty()) return 0;
  const Shape& filters = inputs[weight];
  if (!is_static(filters) || !is_static(outputs[0]) || filters.empty() || filters[0] == 0) return 0;
  return element_count(outputs[0]) * (element_count(filters) / filters[0]);
}

}  // namespace qtool
