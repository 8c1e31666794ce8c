// GridSample: the input read at the coordinates of a grid, one to three spatial dimensions.
#include <algorithm>
#include <array>
#include <limits>

#include "ops/dispatch.hpp"
#include "ops/weighted_sums.hpp"

namespace qtool {
namespace {

enum class Padding { kZeros, kBorder, kReflection };

struct Sampler {
  std::string mode;  // nearest, linear, cubic
  int taps_an_axis;  // pixels of one axis that a point is made of
  Padding padding;
  bool align_corners;
};

Sampler resolve_sampler(const Call& call) {
  Sampler s{call.text("mode", call.opset < 20 ? "bilinear" : "linear"), 2, Padding::kZeros,
            call.integer("align_corners", 0) != 0};
  if (s.mode == "bilinear") s.mode = "linear";
  if (s.mode == "bicubic") s.mode = "cubic";
  require(s.mode == "linear" || s.mode == "cubic" || s.mode == "nearest", call, "mode '",
          printable(s.mode), "' is not known");
  if (s.mode == "nearest") s.taps_an_axis = 1;
  if (s.mode == "cubic") s.taps_an_axis = 4;
  const std::string padding = call.text("padding_mode", "zeros");
  if (padding == "border")
    s.padding = Padding::kBorder;
  else if (padding == "reflection")
    s.padding = Padding::kReflection;
  else
    require(padding == "zeros", call, "padding_mode '", printable(padding), "' is not known");
  return s;
}

// The part of the axis that belongs to the image: pixel centres, or their outer edges.
struct Border {
  float low, high;
};

float reflect(float x, Border b) {
  const float range = b.high - b.low;
  if (range <= 0) return b.low;
  if (x >= b.low && x <= b.high) return x;
  const float distance = x < b.low ? b.low - x : x - b.high;
  const float turns = std::floor(distance / range), rest = distance - turns * range;
  const bool even = std::fmod(turns, 2.f) == 0;
  return (x < b.low) == even ? b.low + rest : b.high - rest;
}

// Up to four pixels of one axis with their weights; index −1 is a zero.
struct AxisTaps {
  std::array<int64_t, 4> index;
  std::array<double, 4> weight;
  size_t count = 0;
  void add(int64_t i, double w) { index[count] = i, weight[count++] = w; }
};

int64_t pixel(const Sampler& s, float i, int64_t length, Border border) {
  const float last = static_cast<float>(length - 1);
  if (s.padding == Padding::kReflection) i = std::clamp(std::trunc(reflect(i, border)), 0.f, last);
  if (s.padding == Padding::kBorder) i = std::clamp(i, 0.f, last);
  return i >= 0 && i <= last ? static_cast<int64_t>(i) : -1;
}

// Cubic convolution (Keys 1981) with a = −0.75.
double cubic(double x) {
  constexpr double a = -0.75;
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

AxisTaps taps_of(const Sampler& s, float normalized, int64_t length) {
  const float n = static_cast<float>(length);
  const Border border = s.align_corners ? Border{0, n - 1} : Border{-0.5f, n - 0.5f};
  float x = s.align_corners ? (normalized + 1) / 2 * (n - 1) : ((normalized + 1) * n - 1) / 2;
  // Far outside and NaN are the same to every padding mode's caller; the limit keeps indices exact.
  x = x > -1e6f ? std::min(x, 1e6f) : -1e6f;
  if (s.taps_an_axis == 1) x = std::nearbyint(x);
  if (x < border.low || x > border.high) {
    if (s.padding == Padding::kBorder) x = std::clamp(x, 0.f, n - 1);
    if (s.padding == Padding::kReflection) x = reflect(x, border);
  }
  AxisTaps taps;
  if (s.taps_an_axis == 1) {
    taps.add(pixel(s, x, length, border), 1);
    return taps;
  }
  const float base = std::floor(x);
  const double ratio = static_cast<double>(x) - base;
  for (int k = 1 - s.taps_an_axis / 2; k <= s.taps_an_axis / 2; ++k) {
    const double weight = s.taps_an_axis == 4 ? cubic(ratio - k) : 1 - std::abs(ratio - k);
    taps.add(pixel(s, base + static_cast<float>(k), length, border), weight);
  }
  return taps;
}

// Every pixel that one point is made of, as terms `at`, at + points, … of a table.
template <typename T>
void add_point(const std::array<AxisTaps, 3>& taps, const std::array<int64_t, 3>& size, size_t at,
               GatherTable<T>& table) {
  for (size_t a = 0; a < taps[0].count; ++a) {
    for (size_t b = 0; b < taps[1].count; ++b) {
      for (size_t c = 0; c < taps[2].count; ++c, at += static_cast<size_t>(table.sums)) {
        const int64_t z = taps[0].index[a], y = taps[1].index[b], x = taps[2].index[c];
        if (z < 0 || y < 0 || x < 0) continue;
        table.index[at] = static_cast<int32_t>((z * size[1] + y) * size[2] + x);
        table.weight[at] =
            static_cast<T>(taps[0].weight[a] * taps[1].weight[b] * taps[2].weight[c]);
      }
    }
  }
}

template <typename T>
Tensor sample(const Call& call, const Tensor& x, const Tensor& grid, const Shape& shape) {
  constexpr int64_t kBlock = 256;  // points whose table stays in the caches for all channels
  const Sampler sampler = resolve_sampler(call);
  const size_t dims = shape.size() - 2;
  std::array<int64_t, 3> size{1, 1, 1};
  std::copy(x.shape().begin() + 2, x.shape().end(), size.begin() + static_cast<int64_t>(3 - dims));
  Tensor out = Tensor::uninitialized(x.dtype(), shape);
  if (out.size() == 0) return out;
  const int64_t area = size[0] * size[1] * size[2], channels = x.dim(1);
  require(area > 0, call, "the input has no pixels");
  refuse(area > std::numeric_limits<int32_t>::max(), call, area, " pixels are too many");
  const int64_t points = out.size() / (x.dim(0) * channels);
  int64_t terms = 1;
  for (size_t d = 0; d < dims; ++d) terms *= sampler.taps_an_axis;
  const T* in = x.data<T>().data();
  const float* at = grid.data<float>().data();
  T* y = out.mutable_data<T>().data();
  std::array<AxisTaps, 3> taps;
  for (AxisTaps& t : taps) t.add(0, 1);
  for (int64_t n = 0; n < x.dim(0); ++n, in += channels * area, y += channels * points) {
    for (int64_t begin = 0; begin < points; begin += kBlock) {
      GatherTable<T> table(std::min(kBlock, points - begin), terms);
      for (int64_t p = 0; p < table.sums; ++p, at += dims) {
        // The grid names the last dimension first.
        for (size_t d = 0; d < dims; ++d) taps[2 - d] = taps_of(sampler, at[d], size[2 - d]);
        add_point(taps, size, static_cast<size_t>(p), table);
      }
      sum_gathered(table, in, {channels, area, points}, y + begin);
    }
  }
  return out;
}

std::vector<Tensor> eval_grid_sample(const Call& call) {
  const DType type = call.in(0).dtype();
  if (!is_real(type)) unsupported_type(call, type);
  if (!is_real(call.in(1).dtype())) unsupported_type(call, call.in(1).dtype());
  const Tensor x = is_half(type) ? cast(call.in(0), DType::kFloat) : call.in(0);
  const Tensor grid = cast(call.in(1), DType::kFloat);
  require(x.rank() >= 3 && grid.rank() == x.rank() && grid.dim(0) == x.dim(0) &&
              grid.dim(-1) == x.rank() - 2,
          call, "grid ", shape_text(grid.shape()), " for input ", shape_text(x.shape()));
  refuse(x.rank() > 5, call, "more than three spatial dimensions are not supported");
  Shape shape{x.dim(0), x.dim(1)};
  shape.insert(shape.end(), grid.shape().begin() + 1, grid.shape().end() - 1);
  const Tensor out = with_float(
      call, x.dtype(), [&](auto zero) { return sample<decltype(zero)>(call, x, grid, shape); });
  return {cast(out, type)};
}

}  // namespace

extern const OpDef kGridSample{
    .type = "GridSample",
    .since = 16,
    .eval = eval_grid_sample,
    .quant = {.reason = "samples at data-dependent places: no integer kernel"}};

}  // namespace qtool
