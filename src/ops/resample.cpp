#include "ops/resample.hpp"

#include <algorithm>

namespace qtool {
namespace {

// Cubic convolution kernel (Keys 1981, equation 4).
double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

// The modes that divide by the scale do so in float, as other runtimes: 3.5 / 0.7 lies on the tie between
// two pixels only there. `length` is the output's length before it was cut to a whole number.
double source_coordinate(const Call& call, const std::string& mode, const AxisResize& axis,
                         double x) {
  const double input = static_cast<double>(axis.input), output = static_cast<double>(axis.output);
  const double length = axis.scale * input;
  const auto scale = static_cast<float>(axis.scale), at = static_cast<float>(x);
  if (mode == "half_pixel") return (at + 0.5f) / scale - 0.5f;
  if (mode == "pytorch_half_pixel") return axis.output > 1 ? (at + 0.5f) / scale - 0.5f : 0;
  if (mode == "asymmetric") return at / scale;
  if (mode == "align_corners") return axis.output == 1 ? 0 : x * (input - 1) / (length - 1);
  if (mode == "half_pixel_symmetric") {
    const float center = static_cast<float>(input) / 2,
                adjustment = static_cast<float>(output) / (scale * static_cast<float>(input));
    return center * (1 - adjustment) + (at + 0.5f) / scale - 0.5f;
  }
  if (mode == "tf_half_pixel_for_nn") return (at + 0.5f) / scale;
  require(mode == "tf_crop_and_resize", call, "coordinate_transformation_mode '", printable(mode),
          "' is not known");
  const double start = axis.roi_start * (input - 1),
               span = (axis.roi_end - axis.roi_start) * (input - 1);
  return axis.output > 1 ? start + x * span / (output - 1) : start + span / 2;
}

}  // namespace

std::vector<double> source_coordinates(const Call& call, const ResampleOptions& options,
                                       const AxisResize& axis) {
  std::vector<double> x(static_cast<size_t>(axis.output));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = source_coordinate(call, options.coordinates, axis, static_cast<double>(i));
    require(std::isfinite(x[i]), call, "a coordinate is not finite");
  }
  return x;
}

int64_t nearest_index(const Call& call, const ResampleOptions& options, const AxisResize& axis,
                      double x) {
  const std::string& mode = options.nearest;
  double at = 0;
  if (mode == "round_prefer_floor")
    at = std::ceil(x - 0.5);
  else if (mode == "round_prefer_ceil")
    at = std::floor(x + 0.5);
  else if (mode == "floor")
    at = std::floor(x);
  else if (mode == "ceil")
    at = std::ceil(x);
  else if (mode == "before_opset_11")
    at = axis.scale < 1 ? std::ceil(x) : std::floor(x);
  else
    require(false, call, "nearest_mode '", printable(mode), "' is not known");
  return static_cast<int64_t>(std::clamp(at, 0.0, static_cast<double>(axis.input - 1)));
}

Taps taps_at(const ResampleOptions& options, const AxisResize& axis, double x) {
  // Antialiasing stretches the kernel over the input elements that one output element covers.
  const double shrink = options.antialias ? std::min(axis.scale, 1.0) : 1.0;
  const double support = (options.mode == Interpolation::kCubic ? 2 : 1) / shrink;
  const double last = static_cast<double>(axis.input - 1);
  Taps taps;
  double total = 0;
  for (double i = std::floor(x - support) + 1; i < x + support; ++i) {
    const double d = (i - x) * shrink;
    double weight = options.mode == Interpolation::kCubic ? cubic(d, options.cubic_a)
                                                          : std::max(0.0, 1 - std::abs(d));
    if (options.exclude_outside && (i < 0 || i > last)) weight = 0;
    if (weight == 0) continue;
    taps.index.push_back(static_cast<int64_t>(std::clamp(i, 0.0, last)));
    taps.weight.push_back(weight);
    total += weight;
  }
  if (options.antialias || options.exclude_outside) {
    for (double& w : taps.weight) w /= total;
  }
  return taps;
}

}  // namespace qtool
