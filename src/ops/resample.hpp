// What Resize does once it is known: where each output element lies in the input and what it is made of.
#pragma once

#include "ops/dispatch.hpp"

namespace qtool {

enum class Interpolation { kNearest, kLinear, kCubic };

// What Resize's attributes say about every axis.
struct ResampleOptions {
  Interpolation mode = Interpolation::kNearest;
  std::string coordinates = "half_pixel";      // coordinate_transformation_mode
  std::string nearest = "round_prefer_floor";  // nearest_mode, or "before_opset_11"
  double cubic_a = -0.75;
  bool antialias = false;
  bool exclude_outside = false;
};

// One resized axis. `scale` may be fractional where `output` is not.
struct AxisResize {
  int64_t input, output;
  double scale;
  double roi_start = 0, roi_end = 1;
};

struct Resizing {
  ResampleOptions options;
  std::vector<AxisResize> axes;  // one a dimension of the input
  double extrapolation = 0;
};

// The call's first input resized; throws Error{kModel} for an unknown mode.
Tensor resample(const Call& call, const Resizing& resizing);

}  // namespace qtool
