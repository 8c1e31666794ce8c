// Sums and means over axes: every element that took part gets its share.
#include <numeric>

#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

// The result's gradient, times `factor`, repeated over the elements that each result came from.
Gradients spread(const VjpCall& call, const Shape& kept, double factor) {
  const auto share = static_cast<float>(factor);
  const Tensor each = chain(call.dy(), call.dy(), [share](float) { return share; })[0];
  return {broadcast_to(each.reshaped(kept), call.shapes[0])};
}

Gradients reduce(const VjpCall& call, bool mean) {
  const Shape& shape = call.shapes[0];
  const auto rank = static_cast<int64_t>(shape.size());
  std::vector<int64_t> axes = attr_ints(call.node, "axes");
  if (call.inputs.size() > 1 && call.inputs[1].defined()) axes = call.inputs[1].to_int64s();
  axes = normalize_axes(std::move(axes), rank, call.node);
  if (axes.empty() && attr_int(call.node, "noop_with_empty_axes", 0) == 0) {
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  Shape kept = shape;
  int64_t count = 1;
  for (int64_t a : axes) {
    count *= shape[static_cast<size_t>(a)];
    kept[static_cast<size_t>(a)] = 1;
  }
  return spread(call, kept, mean ? 1.0 / static_cast<double>(count) : 1.0);
}

}  // namespace

Gradients reduce_mean(const VjpCall& call) { return reduce(call, true); }
Gradients reduce_sum(const VjpCall& call) { return reduce(call, false); }

Gradients global_average_pool(const VjpCall& call) {
  const Shape& shape = call.shapes[0];
  const int64_t planes = shape[0] * shape[1];
  const int64_t count = planes > 0 ? element_count(shape) / planes : 1;
  return spread(call, call.dy().shape(), 1.0 / static_cast<double>(count));
}

}  // namespace qtool::gradient
