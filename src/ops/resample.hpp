// One axis of Resize: where each output element lies in the input and what it is made of.
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

// Coordinates in the input of every output element; throws Error{kModel} for an unknown mode.
std::vector<double> source_coordinates(const Call& call, const ResampleOptions& options,
                                       const AxisResize& axis);
// Index in the input that is nearest to a coordinate.
int64_t nearest_index(const Call& call, const ResampleOptions& options, const AxisResize& axis,
                      double x);

// A weighted sum of input elements.
struct Taps {
  std::vector<int64_t> index;
  std::vector<double> weight;
};
Taps taps_at(const ResampleOptions& options, const AxisResize& axis, double x);

}  // namespace qtool
