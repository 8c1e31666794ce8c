#include "ops/window3.hpp"

namespace qtool {

Window3 to_window3(const Call& call, const Window& window) {
  const size_t dims = window.kernel.size();
  refuse(dims > 3, call, dims, " spatial dimensions are not supported");
  const auto widen = [&](const std::vector<int64_t>& v, int64_t fill) {
    std::array<int64_t, 3> out{fill, fill, fill};
    for (size_t d = 0; d < dims; ++d) out[3 - dims + d] = v[d];
    return out;
  };
  return {widen(window.kernel, 1),     widen(window.strides, 1),  widen(window.dilations, 1),
          widen(window.pads_begin, 0), widen(window.pads_end, 0), widen(window.input, 1),
          widen(window.output, 1)};
}

Shape spatial_shape(int64_t batch, int64_t channels, const std::vector<int64_t>& dims) {
  Shape shape{batch, channels};
  shape.insert(shape.end(), dims.begin(), dims.end());
  return shape;
}

}  // namespace qtool
