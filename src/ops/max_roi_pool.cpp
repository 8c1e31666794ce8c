// MaxRoiPool: the largest values of a grid of bins over each region (Girshick, Fast R-CNN, 2015).
#include <algorithm>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

struct Bins {
  int64_t start, length;
  // First and last pixel of bin i of `count`, inside an axis of `limit` pixels.
  std::pair<int64_t, int64_t> bin(int64_t i, int64_t count, int64_t limit) const {
    const double size = static_cast<double>(length) / static_cast<double>(count);
    const auto low = static_cast<int64_t>(std::floor(static_cast<double>(i) * size)) + start,
               high = static_cast<int64_t>(std::ceil(static_cast<double>(i + 1) * size)) + start;
    return {std::clamp<int64_t>(low, 0, limit), std::clamp<int64_t>(high, 0, limit)};
  }
};

// Pixels far outside of any picture are all the same.
int64_t pixel(const Call& call, double x, double scale) {
  const double at = std::round(x * scale);
  require(std::fabs(at) < 1e9, call, "a region reaches to ", x);
  return static_cast<int64_t>(at);
}

template <typename T>
T largest(const T* plane, int64_t width, std::pair<int64_t, int64_t> rows,
          std::pair<int64_t, int64_t> columns) {
  if (rows.first >= rows.second || columns.first >= columns.second) return T(0);
  T most = plane[rows.first * width + columns.first];
  for (int64_t r = rows.first; r < rows.second; ++r) {
    for (int64_t c = columns.first; c < columns.second; ++c)
      most = std::max(most, plane[r * width + c]);
  }
  return most;
}

std::vector<Tensor> eval_max_roi_pool(const Call& call) {
  const Tensor &x = call.in(0), &rois = call.in(1);
  const std::vector<int64_t> pooled = call.integers("pooled_shape");
  const double scale = call.real("spatial_scale", 1);
  require(x.rank() == 4 && rois.rank() == 2 && rois.dim(1) == 5, call, "input ",
          shape_text(x.shape()), " and regions ", shape_text(rois.shape()),
          ", expected [N, C, H, W] and [count, 5]");
  require(pooled.size() == 2 && pooled[0] > 0 && pooled[1] > 0, call,
          "pooled_shape must have two sizes");
  const int64_t channels = x.dim(1), height = x.dim(2), width = x.dim(3);
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto data = x.data<T>(), regions = input_data<T>(call, 1);
    Tensor out = Tensor::uninitialized(x.dtype(), {rois.dim(0), channels, pooled[0], pooled[1]});
    T* y = out.mutable_data<T>().data();
    for (int64_t r = 0; r < rois.dim(0); ++r) {
      const T* roi = regions.data() + r * 5;
      const auto batch = static_cast<int64_t>(roi[0]);
      require(batch >= 0 && batch < x.dim(0), call, "region ", r, " is of picture ", batch);
      const int64_t left = pixel(call, roi[1], scale), top = pixel(call, roi[2], scale);
      const Bins across{left, std::max<int64_t>(pixel(call, roi[3], scale) - left + 1, 1)},
          down{top, std::max<int64_t>(pixel(call, roi[4], scale) - top + 1, 1)};
      for (int64_t c = 0; c < channels; ++c) {
        const T* plane = data.data() + (batch * channels + c) * height * width;
        for (int64_t i = 0; i < pooled[0]; ++i) {
          for (int64_t j = 0; j < pooled[1]; ++j)
            *y++ = largest(plane, width, down.bin(i, pooled[0], height),
                           across.bin(j, pooled[1], width));
        }
      }
    }
    return out;
  })};
}

}  // namespace

extern const OpDef kMaxRoiPool{.type = "MaxRoiPool", .eval = half_as_float<eval_max_roi_pool>};

}  // namespace qtool
