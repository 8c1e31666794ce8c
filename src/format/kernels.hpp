// The inner loops: real = (code − zero_point) · scale, with offset = code − zero_point kept as a float,
// which is exact for codes of 16 bits. Bounds are those of the offset.
#pragma once

#include <cstdint>

namespace qtool {

// One grid for a run of elements.
struct Grid {
  float scale;
  float low, high;  // code_min − zero_point, code_max − zero_point
  int32_t zero_point;
};

// One grid an element: arrays as long as the run.
struct Grids {
  const float* scale;
  const float* low;
  const float* high;
  const int32_t* zero_point;
};

// Values become multiples of the scale; NaN stays NaN.
void snap_run(float* values, int64_t count, const Grid& grid);
void snap_run(float* values, int64_t count, const Grids& grids);

// Codes of values that are not NaN.
void encode_run(const float* values, int32_t* codes, int64_t count, const Grid& grid);
void encode_run(const float* values, int32_t* codes, int64_t count, const Grids& grids);

void decode_run(const int32_t* codes, float* values, int64_t count, const Grid& grid);
void decode_run(const int32_t* codes, float* values, int64_t count, const Grids& grids);

bool has_nan(const float* values, int64_t count);

}  // namespace qtool
