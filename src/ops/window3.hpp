// Convolutions and pools of one to three spatial dimensions, as three loops.
#pragma once

#include <array>

#include "ops/dispatch.hpp"

namespace qtool {

// A Window with dimensions of one put in front, so that there are always depth, height and width.
struct Window3 {
  std::array<int64_t, 3> kernel, stride, dilation, pad, pad_end, in, out;
  int64_t in_area() const { return in[0] * in[1] * in[2]; }
  int64_t out_area() const { return out[0] * out[1] * out[2]; }
  int64_t kernel_area() const { return kernel[0] * kernel[1] * kernel[2]; }
};

// Throws Unsupported for more than three spatial dimensions.
Window3 to_window3(const Call& call, const Window& window);

// [batch, channels] followed by the spatial dimensions.
Shape spatial_shape(int64_t batch, int64_t channels, const std::vector<int64_t>& dims);

// Positions i in [low, high) are those with 0 <= i * stride + offset < limit, of `count` positions.
struct Range {
  int64_t low, high;
};
inline Range valid_range(int64_t count, int64_t stride, int64_t offset, int64_t limit) {
  const int64_t low = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t high = limit - offset <= 0 ? 0 : (limit - offset + stride - 1) / stride;
  return {low < count ? low : count, high < count ? high : count};
}

}  // namespace qtool
