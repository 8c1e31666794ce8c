#include "format/kernels.hpp"

#include <cmath>

#include "base/clones.hpp"

namespace qtool {
namespace {

// Dividing (not multiplying by a reciprocal) is what QuantizeLinear defines. Written so that NaN passes.
inline float offset_of(float value, float scale, float low, float high) {
  float offset = std::nearbyint(value / scale);
  offset = offset < low ? low : offset;
  return offset > high ? high : offset;
}

// Adding zero turns −0 into the +0 that an integer code gives.
inline float real_of(float offset, float scale) { return offset * scale + 0.0f; }

}  // namespace

QTOOL_AVX2_CLONES void snap_run(float* values, int64_t count, const Grid& grid) {
  const float scale = grid.scale, low = grid.low, high = grid.high;
  for (int64_t i = 0; i < count; ++i) {
    values[i] = real_of(offset_of(values[i], scale, low, high), scale);
  }
}

QTOOL_AVX2_CLONES void snap_run(float* values, int64_t count, const Grids& g) {
  for (int64_t i = 0; i < count; ++i) {
    values[i] = real_of(offset_of(values[i], g.scale[i], g.low[i], g.high[i]), g.scale[i]);
  }
}

QTOOL_AVX2_CLONES void encode_run(const float* values, int32_t* codes, int64_t count,
                                  const Grid& grid) {
  const float scale = grid.scale, low = grid.low, high = grid.high;
  const int32_t zero_point = grid.zero_point;
  for (int64_t i = 0; i < count; ++i) {
    codes[i] = static_cast<int32_t>(offset_of(values[i], scale, low, high)) + zero_point;
  }
}

QTOOL_AVX2_CLONES void encode_run(const float* values, int32_t* codes, int64_t count,
                                  const Grids& g) {
  for (int64_t i = 0; i < count; ++i) {
    const float offset = offset_of(values[i], g.scale[i], g.low[i], g.high[i]);
    codes[i] = static_cast<int32_t>(offset) + g.zero_point[i];
  }
}

QTOOL_AVX2_CLONES void decode_run(const int32_t* codes, float* values, int64_t count,
                                  const Grid& grid) {
  const float scale = grid.scale;
  const int32_t zero_point = grid.zero_point;
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(codes[i] - zero_point) * scale;
  }
}

QTOOL_AVX2_CLONES void decode_run(const int32_t* codes, float* values, int64_t count,
                                  const Grids& g) {
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(codes[i] - g.zero_point[i]) * g.scale[i];
  }
}

QTOOL_AVX2_CLONES bool has_nan(const float* values, int64_t count) {
  int found = 0;
  for (int64_t i = 0; i < count; ++i) found |= values[i] != values[i];
  return found != 0;
}

}  // namespace qtool
