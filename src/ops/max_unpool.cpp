// MaxUnpool: every value back at the position that MaxPool's second output gives.
#include "ops/movable.hpp"

namespace qtool {
namespace {

// The shape that MaxPool with these attributes had read.
Shape pooled_from(const Call& call, const Shape& pooled) {
  const size_t spatial = pooled.size() - 2;
  const std::vector<int64_t> kernel = call.integers("kernel_shape"),
                             strides = call.integers("strides", std::vector<int64_t>(spatial, 1)),
                             pads = call.integers("pads", std::vector<int64_t>(2 * spatial, 0));
  require(kernel.size() == spatial && strides.size() == spatial && pads.size() == 2 * spatial, call,
          "kernel_shape, strides or pads do not have ", spatial, " dimensions");
  Shape shape = pooled;
  for (size_t d = 0; d < spatial; ++d) {
    const int64_t whole =
        checked_add(checked_multiply(pooled[d + 2] - 1, strides[d], call), kernel[d], call);
    shape[d + 2] = whole - pads[d] - pads[spatial + d];
    require(kernel[d] > 0 && strides[d] > 0 && pads[d] >= 0 && pads[spatial + d] >= 0 &&
                shape[d + 2] >= 0,
            call, "an attribute is out of range along dimension ", d);
  }
  return shape;
}

std::vector<Tensor> eval_max_unpool(const Call& call) {
  const Tensor& x = call.in(0);
  require(x.rank() >= 3, call, "input ", shape_text(x.shape()), " has no spatial dimension");
  const auto positions = input_data<int64_t>(call, 1);
  require(call.in(1).shape() == x.shape(), call, "indices ", shape_text(call.in(1).shape()),
          " for input ", shape_text(x.shape()));
  const Shape from = pooled_from(call, x.shape());
  const Shape to = call.has(2) ? index_data(call, 2) : from;
  bool fits = to.size() == from.size();
  for (size_t d = 0; fits && d < to.size(); ++d) fits = to[d] >= from[d];
  require(fits, call, "output_shape ", shape_text(to), " does not hold ", shape_text(from));
  const Movable m(call, {x});
  Tensor out(m[0].dtype(), to);
  const int64_t count = element_count(from), width = width_of(m[0]);
  const Shape strides = strides_of(from), out_strides = strides_of(to);
  for (size_t i = 0; i < positions.size(); ++i) {
    int64_t rest = checked_index(positions[i], count, call), at = 0;
    for (size_t d = 0; d < from.size(); ++d) {
      at += rest / strides[d] * out_strides[d];
      rest %= strides[d];
    }
    std::memcpy(bytes_of(out) + at * width, bytes_of(m[0]) + static_cast<int64_t>(i) * width,
                static_cast<size_t>(width));
  }
  return {m.restore(out)};
}

}  // namespace

extern const OpDef kMaxUnpool{.type = "MaxUnpool", .since = 9, .eval = eval_max_unpool};

}  // namespace qtool
