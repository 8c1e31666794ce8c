// Which scale belongs to which element: one for the tensor, one a slice of an axis, or one a block.
#pragma once

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {

// A tensor as runs of elements whose parameters are equal or consecutive.
struct Granularity {
  AxisView view;
  int64_t block;     // elements along the axis that share a scale
  int64_t scales;    // scales along the axis; 0: one for the whole tensor
  bool per_element;  // blocked: scales vary along the inner dimensions too
};

// ONNX "QuantizeLinear": from the attributes `axis` and `block_size` and the scale's shape; checks
// the zero point (input 2) against the scale (input 1).
Granularity resolve_granularity(const Call& call);

// Calls fn(first element, count, first parameter, parameter step) for consecutive runs.
template <typename Fn>
void for_each_scale_run(const Granularity& g, Fn&& fn) {
  const AxisView& v = g.view;
  if (g.scales == 0) return fn(int64_t{0}, v.outer * v.length * v.inner, int64_t{0}, int64_t{0});
  for (int64_t o = 0; o < v.outer; ++o) {
    for (int64_t k = 0; k < v.length; ++k) {
      const int64_t scale = k / g.block;
      const int64_t at = (o * v.length + k) * v.inner;
      if (g.per_element)
        fn(at, v.inner, (o * g.scales + scale) * v.inner, int64_t{1});
      else
        fn(at, v.inner, scale, int64_t{0});
    }
  }
}

// Values of a float tensor (16-bit and 8-bit floats too) as float.
std::vector<float> float_values(const Call& call, size_t i);

}  // namespace qtool
