// RoiAlign: every region pooled to a fixed size from bilinear samples.
#include <algorithm>
#include <array>

#include "ops/movable.hpp"

namespace qtool {
namespace {

struct Settings {
  int64_t height, width,
      ratio;  // pooled size; samples a bin and dimension, 0: as many as it has pixels
  double scale, offset;
  bool average, at_least_one;
};

Settings resolve_settings(const Call& call) {
  Settings s{call.integer("output_height", 1),
             call.integer("output_width", 1),
             call.integer("sampling_ratio", 0),
             call.real("spatial_scale", 1),
             0,
             true,
             true};
  require(s.height >= 1 && s.width >= 1 && s.ratio >= 0 && s.ratio <= 4096, call,
          "an output size or sampling_ratio is out of range");
  const std::string mode = call.text("mode", "avg");
  require(mode == "avg" || mode == "max", call, "mode '", printable(mode), "' is not known");
  s.average = mode == "avg";
  const std::string coordinates = call.text("coordinate_transformation_mode",
                                            call.opset < 16 ? "output_half_pixel" : "half_pixel");
  require(coordinates == "half_pixel" || coordinates == "output_half_pixel", call,
          "coordinate_transformation_mode '", printable(coordinates), "' is not known");
  const bool half_pixel = coordinates == "half_pixel";
  s.offset = half_pixel ? 0.5 : 0;
  s.at_least_one = !half_pixel;
  return s;
}

// Two neighbouring pixels of one axis; nothing when the sample lies outside the image.
struct Pair {
  int64_t low = 0, high = 0;
  double weight_low = 0, weight_high = 0;
};
Pair neighbours(double x, int64_t length) {
  if (x < -1 || x > static_cast<double>(length)) return {};
  x = std::max(x, 0.0);
  const auto low = static_cast<int64_t>(x);
  if (low >= length - 1) return {length - 1, length - 1, 1, 0};
  return {low, low + 1, 1 - (x - static_cast<double>(low)), x - static_cast<double>(low)};
}

// Samples of one axis for every bin: bins × samples.
struct AxisSamples {
  int64_t per_bin;
  std::vector<Pair> pairs;
};
AxisSamples sample_axis(const Call& call, const Settings& s, double start, double end, int64_t bins,
                        int64_t length) {
  start = start * s.scale - s.offset, end = end * s.scale - s.offset;
  double extent = end - start;
  if (s.at_least_one) extent = std::max(extent, 1.0);
  require(std::isfinite(extent) && std::isfinite(start), call, "a region is not finite");
  const double bin = extent / static_cast<double>(bins);
  refuse(s.ratio == 0 && bin > 4096, call, "a region of ", extent, " pixels is not supported");
  AxisSamples out{
      s.ratio > 0 ? s.ratio : std::max<int64_t>(0, static_cast<int64_t>(std::ceil(bin))), {}};
  for (int64_t b = 0; b < bins; ++b) {
    for (int64_t i = 0; i < out.per_bin; ++i) {
      const double step = (static_cast<double>(i) + 0.5) * bin / static_cast<double>(out.per_bin);
      out.pairs.push_back(neighbours(start + static_cast<double>(b) * bin + step, length));
    }
  }
  return out;
}

// One bin of one plane. Maximum pooling takes the largest weighted corner, as ONNX's reference
// does.
template <typename T>
double pool_bin(const Settings& s, const T* plane, int64_t width, std::span<const Pair> rows,
                std::span<const Pair> columns) {
  double sum = 0, best = 0;
  bool first = true;
  for (const Pair& r : rows) {
    for (const Pair& c : columns) {
      const std::array<double, 4> corner{
          r.weight_low * c.weight_low * plane[r.low * width + c.low],
          r.weight_low * c.weight_high * plane[r.low * width + c.high],
          r.weight_high * c.weight_low * plane[r.high * width + c.low],
          r.weight_high * c.weight_high * plane[r.high * width + c.high]};
      sum += corner[0] + corner[1] + corner[2] + corner[3];
      const double peak = *std::max_element(corner.begin(), corner.end());
      best = first ? peak : std::max(best, peak);
      first = false;
    }
  }
  const auto count = static_cast<double>(std::max<size_t>(rows.size() * columns.size(), 1));
  return s.average ? sum / count : best;
}

template <typename T>
Tensor roi_align(const Call& call, const Settings& s) {
  const Tensor& x = call.in(0);
  const T *in = x.data<T>().data(), *roi = input_data<T>(call, 1).data();
  const std::vector<int64_t> batches = index_data(call, 2);
  const int64_t channels = x.dim(1), height = x.dim(2), width = x.dim(3);
  Tensor out = Tensor::uninitialized(x.dtype(), {call.in(1).dim(0), channels, s.height, s.width});
  require(height > 0 && width > 0, call, "the input has no pixels");
  T* y = out.mutable_data<T>().data();
  for (size_t n = 0; n < batches.size(); ++n, roi += 4) {
    require(batches[n] >= 0 && batches[n] < x.dim(0), call, "batch index ", batches[n], " of ",
            x.dim(0));
    const AxisSamples columns = sample_axis(call, s, roi[0], roi[2], s.width, width);
    const AxisSamples rows = sample_axis(call, s, roi[1], roi[3], s.height, height);
    for (int64_t c = 0; c < channels; ++c) {
      const T* plane = in + (batches[n] * channels + c) * height * width;
      for (int64_t i = 0; i < s.height; ++i) {
        for (int64_t j = 0; j < s.width; ++j) {
          const auto part = [](const AxisSamples& a, int64_t bin) {
            return std::span(a.pairs).subspan(static_cast<size_t>(bin * a.per_bin),
                                              static_cast<size_t>(a.per_bin));
          };
          *y++ = static_cast<T>(pool_bin(s, plane, width, part(rows, i), part(columns, j)));
        }
      }
    }
  }
  return out;
}

std::vector<Tensor> eval_roi_align(const Call& call) {
  const Tensor& x = call.in(0);
  const Settings settings = resolve_settings(call);
  require(x.rank() == 4, call, "input ", shape_text(x.shape()), " is not a batch of images");
  require(call.in(1).rank() == 2 && call.in(1).dim(1) == 4 &&
              call.in(2).shape() == Shape{call.in(1).dim(0)},
          call, "regions ", shape_text(call.in(1).shape()), " with batch indices ",
          shape_text(call.in(2).shape()));
  return {with_float(call, x.dtype(),
                     [&](auto zero) { return roi_align<decltype(zero)>(call, settings); })};
}

}  // namespace

extern const OpDef kRoiAlign{
    .type = "RoiAlign",
    .since = 10,
    .eval = half_as_float<eval_roi_align>,
    .quant = {.reason = "samples at data-dependent places: no integer kernel"}};

}  // namespace qtool
