// The convolution that Conv, ConvInteger and QLinearConv share.
#pragma once

#include "ops/window3.hpp"

namespace qtool {

// Checked geometry of a convolution: input [batch, in_channels, …], weight [out_channels,
// in_channels / groups, …], output `shape`.
struct Convolution {
  Window3 window;
  int64_t batch, in_channels, out_channels, groups;
  Shape shape;
};
Convolution resolve_convolution(const Call& call, const Tensor& input, const Tensor& weight);

// Multiply-accumulates of Conv and its integer forms; `weight` is the weight's place among the
// inputs.
int64_t convolution_macs(std::span<const Shape> inputs, std::span<const Shape> outputs,
                         size_t weight);

// Adds the products of one kernel element to one output plane `acc`.
template <typename T, typename A>
void add_tap(const Window3& w, const std::array<int64_t, 3>& tap, const T* x, A weight, A* acc) {
  std::array<int64_t, 3> offset;
  std::array<Range, 3> range;
  for (size_t d = 0; d < 3; ++d) {
    offset[d] = tap[d] * w.dilation[d] - w.pad[d];
    range[d] = valid_range(w.out[d], w.stride[d], offset[d], w.in[d]);
  }
  const int64_t step = w.stride[2];
  for (int64_t z = range[0].low; z < range[0].high; ++z) {
    for (int64_t y = range[1].low; y < range[1].high; ++y) {
      const int64_t row = (z * w.stride[0] + offset[0]) * w.in[1] + y * w.stride[1] + offset[1];
      const T* from = x + row * w.in[2] + offset[2];
      A* to = acc + (z * w.out[1] + y) * w.out[2];
      if (step == 1) {
        for (int64_t i = range[2].low; i < range[2].high; ++i)
          to[i] += weight * static_cast<A>(from[i]);
      } else {
        for (int64_t i = range[2].low; i < range[2].high; ++i) {
          to[i] += weight * static_cast<A>(from[i * step]);
        }
      }
    }
  }
}

// Calls finish(n, m, plane) with the sums of every output plane, without bias; A is what is summed
// in.
template <typename A, typename T, typename Finish>
void convolve(const Convolution& c, const T* x, const T* weight, Finish&& finish) {
  const Window3& w = c.window;
  // Without an output there may be geometry that no memory could hold.
  if (c.batch == 0 || c.out_channels == 0) return;
  const int64_t channels = c.in_channels / c.groups, filters = c.out_channels / c.groups;
  std::vector<A> acc(static_cast<size_t>(w.out_area()));
  for (int64_t n = 0; n < c.batch; ++n) {
    for (int64_t m = 0; m < c.out_channels; ++m) {
      std::fill(acc.begin(), acc.end(), A(0));
      const T* filter = weight + m * channels * w.kernel_area();
      for (int64_t k = 0; k < channels; ++k) {
        const T* plane = x + (n * c.in_channels + m / filters * channels + k) * w.in_area();
        for (int64_t a = 0; a < w.kernel[0]; ++a) {
          for (int64_t b = 0; b < w.kernel[1]; ++b) {
            for (int64_t d = 0; d < w.kernel[2]; ++d) {
              add_tap(w, {a, b, d}, plane, static_cast<A>(*filter++), acc.data());
            }
          }
        }
      }
      finish(n, m, std::span<const A>(acc));
    }
  }
}

}  // namespace qtool
