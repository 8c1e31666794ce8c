// Resize and Upsample: what is asked for; ops/resample does it.
#include <algorithm>
#include <numeric>

#include "ops/movable.hpp"
#include "ops/resample.hpp"

namespace qtool {
namespace {

std::vector<double> numbers(const Call& call, size_t i) {
  const Tensor& t = call.in(i);
  require(t.rank() <= 1 && (is_real(t.dtype()) || is_integer(t.dtype())), call, "input ", i,
          " must be a list of numbers");
  const Tensor wide = cast(t, DType::kDouble);
  const auto data = wide.data<double>();
  return {data.begin(), data.end()};
}

Interpolation interpolation(const Call& call, const std::string& mode) {
  if (mode == "nearest") return Interpolation::kNearest;
  if (mode == "linear" || mode == "bilinear") return Interpolation::kLinear;
  require(mode == "cubic", call, "mode '", printable(mode), "' is not known");
  return Interpolation::kCubic;
}

std::vector<AxisResize> unchanged_axes(const Shape& shape) {
  std::vector<AxisResize> axes;
  for (int64_t d : shape) axes.push_back({d, d, 1});
  return axes;
}

void apply_scale(const Call& call, AxisResize& axis, double scale) {
  require(scale > 0 && std::isfinite(scale), call, "scale ", scale);
  axis.scale = scale;
  // In float, as ONNX's shape inference computes it: 10 × 0.7 is 7.
  const float size = std::floor(static_cast<float>(axis.input) * static_cast<float>(scale));
  require(size < 9e15f, call, "scale ", scale, " of ", axis.input);
  axis.output = static_cast<int64_t>(size);
}

// Sizes, kept in proportion when keep_aspect_ratio_policy asks for it.
void apply_sizes(const Call& call, Resizing& r, const std::vector<int64_t>& axes,
                 const std::vector<int64_t>& sizes) {
  const std::string policy = call.text("keep_aspect_ratio_policy", "stretch");
  require(policy == "stretch" || policy == "not_larger" || policy == "not_smaller", call,
          "keep_aspect_ratio_policy '", printable(policy), "' is not known");
  std::vector<double> ratios;
  for (size_t i = 0; i < axes.size(); ++i) {
    AxisResize& axis = r.axes[static_cast<size_t>(axes[i])];
    require(sizes[i] >= 0 && sizes[i] < (int64_t{1} << 53), call, "size ", sizes[i]);
    require(axis.input > 0 || sizes[i] == 0, call, "an empty dimension cannot be resized");
    axis.output = sizes[i];
    axis.scale =
        axis.input > 0 ? static_cast<double>(sizes[i]) / static_cast<double>(axis.input) : 1;
    ratios.push_back(axis.scale);
  }
  if (policy == "stretch" || axes.empty()) return;
  const double scale = policy == "not_larger" ? *std::ranges::min_element(ratios)
                                              : *std::ranges::max_element(ratios);
  for (int64_t a : axes) {
    AxisResize& axis = r.axes[static_cast<size_t>(a)];
    axis.scale = scale;
    axis.output = static_cast<int64_t>(std::floor(scale * static_cast<double>(axis.input) + 0.5));
  }
}

ResampleOptions resize_options(const Call& call) {
  ResampleOptions o;
  o.mode = interpolation(call, call.text("mode", "nearest"));
  o.coordinates = call.text("coordinate_transformation_mode", "half_pixel");
  o.nearest = call.text("nearest_mode", "round_prefer_floor");
  o.cubic_a = call.real("cubic_coeff_a", -0.75f);
  o.antialias = call.integer("antialias", 0) != 0;
  o.exclude_outside = call.integer("exclude_outside", 0) != 0;
  refuse(o.antialias && o.mode == Interpolation::kNearest, call,
         "antialias with nearest is not defined");
  return o;
}

void apply_roi(const Call& call, Resizing& r, const std::vector<int64_t>& axes) {
  const std::vector<double> roi = numbers(call, 1);
  require(roi.size() == 2 * axes.size(), call, "roi has ", roi.size(), " entries for ", axes.size(),
          " axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    AxisResize& axis = r.axes[static_cast<size_t>(axes[i])];
    axis.roi_start = roi[i], axis.roi_end = roi[i + axes.size()];
  }
}

// Opset 11 and newer: X, roi, scales, sizes.
Resizing resolve_resize(const Call& call) {
  const Tensor& x = call.in(0);
  Resizing r{resize_options(call), unchanged_axes(x.shape()), call.real("extrapolation_value", 0)};
  std::vector<int64_t> axes = call.integers("axes");
  if (axes.empty()) {
    axes.resize(static_cast<size_t>(x.rank()));
    std::iota(axes.begin(), axes.end(), 0);
  }
  for (int64_t& a : axes) a = normalize_axis(a, x.rank(), call.node);
  const bool crop = r.options.coordinates == "tf_crop_and_resize";
  if (call.has(3) && call.in(3).size() > 0) {
    const std::vector<int64_t> sizes = index_data(call, 3);
    require(sizes.size() == axes.size(), call, sizes.size(), " sizes for ", axes.size(), " axes");
    apply_sizes(call, r, axes, sizes);
  } else {
    const std::vector<double> scales = numbers(call, 2);
    require(scales.size() == axes.size(), call, scales.size(), " scales for ", axes.size(),
            " axes");
    refuse(crop, call, "tf_crop_and_resize with scales is not supported; give sizes");
    for (size_t i = 0; i < axes.size(); ++i)
      apply_scale(call, r.axes[static_cast<size_t>(axes[i])], scales[i]);
  }
  if (crop) apply_roi(call, r, axes);
  return r;
}

// Upsample, and Resize of opset 10: scales alone, coordinates multiplied.
Resizing resolve_scales(const Call& call) {
  const Tensor& x = call.in(0);
  std::vector<double> scales;
  if (call.node.type == "Upsample" && call.opset < 7) {
    scales = {1, 1, call.real("height_scale", 0), call.real("width_scale", 0)};
  } else if (call.node.type == "Upsample" && call.opset < 9) {
    for (float s : attr_floats(call.node, "scales")) scales.push_back(s);
  } else {
    scales = numbers(call, 1);
  }
  require(static_cast<int64_t>(scales.size()) == x.rank(), call, scales.size(), " scales for rank ",
          x.rank());
  Resizing r{{}, unchanged_axes(x.shape())};
  r.options.mode = interpolation(call, call.text("mode", "nearest"));
  r.options.coordinates = "asymmetric";
  // Before opset 11 ONNX did not say how to round; this is what onnxruntime does.
  r.options.nearest = "before_opset_11";
  for (size_t d = 0; d < scales.size(); ++d) apply_scale(call, r.axes[d], scales[d]);
  return r;
}

std::vector<Tensor> eval_resize(const Call& call) {
  const bool old = call.node.type == "Upsample" || call.opset < 11;
  const Resizing r = old ? resolve_scales(call) : resolve_resize(call);
  for (const AxisResize& a : r.axes)
    require(a.input > 0 || a.output == 0, call, "an empty dimension cannot be resized");
  return {resample(call, r)};
}

// Nearest only moves elements.
constexpr QuantRule kRule{
    .kind = QuantKind::kMovement, .reason = "", .blocked = [](const Node& n) -> std::string_view {
      return attr_string(n, "mode", "nearest") == "nearest"
                 ? ""
                 : "interpolates in float: no integer kernel";
    }};

}  // namespace

extern const OpDef kResize{.type = "Resize", .since = 10, .eval = eval_resize, .quant = kRule};
extern const OpDef kUpsample{.type = "Upsample", .eval = eval_resize, .quant = kRule};

}  // namespace qtool
