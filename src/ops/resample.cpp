// Every resized axis is resampled in turn, as the interpolations are separable.
#include "ops/resample.hpp"

#include <algorithm>
#include <limits>

#include "ops/lanes.hpp"
#include "ops/movable.hpp"
#include "ops/weighted_sums.hpp"

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

// Coordinates in the input of every output element.
std::vector<double> source_coordinates(const Call& call, const ResampleOptions& options,
                                       const AxisResize& axis) {
  std::vector<double> x(static_cast<size_t>(axis.output));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = source_coordinate(call, options.coordinates, axis, static_cast<double>(i));
    require(std::isfinite(x[i]), call, "a coordinate is not finite");
  }
  return x;
}

// Index in the input that is nearest to a coordinate.
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

bool changes(const AxisResize& axis, const ResampleOptions& options) {
  if (axis.input != axis.output || axis.scale != 1) return true;
  return options.coordinates == "tf_crop_and_resize" && (axis.roi_start != 0 || axis.roi_end != 1);
}

// Axes in the order that moves least: those that shrink from the first on, those that grow from the last.
std::vector<size_t> changing_axes(const Resizing& r) {
  std::vector<size_t> order, grow;
  for (size_t d = 0; d < r.axes.size(); ++d) {
    if (!changes(r.axes[d], r.options)) continue;
    (r.axes[d].output > r.axes[d].input ? grow : order).push_back(d);
  }
  order.insert(order.end(), grow.rbegin(), grow.rend());
  return order;
}

// The steps from one shape to another, an axis each. They are done for one slice of the leading dimensions
// that stay at a time, so that what lies between them stays in the caches.
struct Steps {
  std::vector<size_t> axes;
  std::vector<AxisView> views;  // of a slice before every step
  int64_t slices = 1;
  Shape shape;  // behind the last one

  explicit Steps(const Resizing& r) : axes(changing_axes(r)) {
    for (const AxisResize& axis : r.axes) shape.push_back(axis.input);
    const auto leading = axes.empty() ? 0 : static_cast<int64_t>(std::ranges::min(axes));
    slices = element_count({shape.begin(), shape.begin() + leading});
    std::fill_n(shape.begin(), leading, 1);
    for (const size_t d : axes) {
      views.push_back(view_axis(shape, static_cast<int64_t>(d)));
      shape[d] = r.axes[d].output;
    }
    for (size_t d = 0; d < static_cast<size_t>(leading); ++d) shape[d] = r.axes[d].input;
  }

  // step(s, from, to) for every step of every slice; T: elements or, where they have a width, bytes.
  template <typename T, typename Step>
  void run(const T* from, T* to, int64_t width, Step&& step) const {
    const auto size = [&](size_t s) {
      const AxisView& v = views[s];
      return v.outer * v.length * v.inner * width;
    };
    const int64_t out = element_count(shape) / slices * width;
    std::vector<T> between[2];
    for (size_t s = 1; s < axes.size(); ++s)
      between[s % 2].resize(std::max(between[s % 2].size(), static_cast<size_t>(size(s))));
    for (int64_t i = 0; i < slices; ++i, to += out) {
      const T* at = from + i * size(0);
      for (size_t s = 0; s < axes.size(); ++s) {
        T* const next = s + 1 < axes.size() ? between[(s + 1) % 2].data() : to;
        step(s, at, next);
        at = next;
      }
    }
  }
};

Tensor nearest(const Call& call, const Resizing& r) {
  const Steps steps(r);
  if (steps.axes.empty()) return call.in(0);
  const Movable m(call, {call.in(0)});
  const int64_t width = width_of(m[0]);
  std::vector<Taking> takings;
  for (size_t s = 0; s < steps.axes.size(); ++s) {
    const AxisResize& axis = r.axes[steps.axes[s]];
    std::vector<int64_t> positions;
    for (const double x : source_coordinates(call, r.options, axis))
      positions.push_back(nearest_index(call, r.options, axis, x));
    takings.emplace_back(std::move(positions), steps.views[s], width);
  }
  Tensor out = Tensor::uninitialized(m[0].dtype(), steps.shape);
  if (out.size() > 0)
    steps.run(bytes_of(m[0]), bytes_of(out), width,
              [&](size_t s, const char* from, char* to) { takings[s].run(from, to); });
  return m.restore(out);
}

// Of every element along the axis; none for those outside of the input, which are extrapolated.
std::vector<Taps> all_taps(const Call& call, const Resizing& r, const AxisResize& axis) {
  const bool crop = r.options.coordinates == "tf_crop_and_resize";
  std::vector<Taps> all;
  for (const double at : source_coordinates(call, r.options, axis)) {
    if (crop && (at < 0 || at > static_cast<double>(axis.input - 1)))
      all.emplace_back();
    else if (r.options.mode == Interpolation::kNearest)
      all.push_back({{nearest_index(call, r.options, axis, at)}, {1}});
    else
      all.push_back(taps_at(r.options, axis, at));
  }
  return all;
}

// The taps of rows of `inner` elements a position as a table.
template <typename T>
GatherTable<T> gather_table(std::span<const Taps> positions, int64_t inner) {
  size_t most = 0;
  for (const Taps& taps : positions) most = std::max(most, taps.index.size());
  GatherTable<T> table(static_cast<int64_t>(positions.size()) * inner, static_cast<int64_t>(most));
  for (size_t t = 0, at = 0; t < most; ++t) {
    for (const Taps& taps : positions) {
      for (int64_t i = 0; i < inner; ++i, ++at) {
        if (t >= taps.index.size()) continue;
        table.index[at] = static_cast<int32_t>(taps.index[t] * inner + i);
        table.weight[at] = static_cast<T>(taps.weight[t]);
      }
    }
  }
  return table;
}

// Weighted sums along one axis.
template <typename T>
class WeightedStep {
 public:
  WeightedStep(std::vector<Taps> positions, AxisView view, double outside)
      : positions_(std::move(positions)), view_(view), outside_(static_cast<T>(outside)) {
    // Vectors go along the inner dimensions where these fill one.
    gathers_ =
        view.inner < kLanes<T> && view.length * view.inner <= std::numeric_limits<int32_t>::max();
    if (!gathers_) return;
    table_ = gather_table<T>(positions_, view.inner);
    table_.find_windows(view.length * view.inner);
  }

  void run(const T* x, T* y) const {
    const auto row = static_cast<int64_t>(positions_.size()) * view_.inner;
    if (gathers_)
      sum_gathered(table_, x, {view_.outer, view_.length * view_.inner, row}, y);
    else
      sum_along_axis(positions_, x, view_, y);
    for (size_t p = 0; p < positions_.size(); ++p) {
      if (!positions_[p].index.empty()) continue;
      for (int64_t o = 0; o < view_.outer; ++o)
        std::fill_n(y + o * row + static_cast<int64_t>(p) * view_.inner, view_.inner, outside_);
    }
  }

 private:
  std::vector<Taps> positions_;
  AxisView view_;
  T outside_;
  bool gathers_;
  GatherTable<T> table_{0, 0};
};

template <typename T>
Tensor resample_as(const Call& call, const Resizing& r) {
  const Tensor x = cast(call.in(0), dtype_of<T>());
  const Steps steps(r);
  if (steps.axes.empty()) return x;
  std::vector<WeightedStep<T>> weighted;
  for (size_t s = 0; s < steps.axes.size(); ++s) {
    weighted.emplace_back(all_taps(call, r, r.axes[steps.axes[s]]), steps.views[s],
                          r.extrapolation);
  }
  Tensor out = Tensor::uninitialized(x.dtype(), steps.shape);
  if (out.size() == 0) return out;
  steps.run(x.data<T>().data(), out.mutable_data<T>().data(), 1,
            [&](size_t s, const T* from, T* to) { weighted[s].run(from, to); });
  return out;
}

Tensor weighted(const Call& call, const Resizing& r) {
  const DType type = call.in(0).dtype();
  if (type == DType::kFloat || is_half(type)) return cast(resample_as<float>(call, r), type);
  if (type == DType::kDouble) return resample_as<double>(call, r);
  return with_integer(call, type, [&](auto zero) {
    using T = decltype(zero);
    const Tensor wide = resample_as<double>(call, r);
    Tensor out = Tensor::uninitialized(type, wide.shape());
    std::ranges::transform(wide.data<double>(), out.mutable_data<T>().begin(),
                           [](double v) { return to_element<T>(std::nearbyint(v)); });
    return out;
  });
}

}  // namespace

Tensor resample(const Call& call, const Resizing& r) {
  const bool moves =
      r.options.mode == Interpolation::kNearest && r.options.coordinates != "tf_crop_and_resize";
  return moves ? nearest(call, r) : weighted(call, r);
}

}  // namespace qtool
