// Inner loops on codes, compiled for the baseline and for AVX2; both give the same bits.
#pragma once

#include <cstdint>

#include "qtool/tensor.hpp"

namespace qtool::integer {

struct CodeRange {
  int32_t zero_point, lowest, highest;
};

// code = clamp(round(x / scale) + zero_point); NaN becomes the lowest code.
void quantize(const float* x, void* codes, DType type, int64_t count, float scale, CodeRange range);
void dequantize(const void* codes, DType type, float* x, int64_t count, float scale,
                int32_t zero_point);
// y = clamp(round(a · scale_a + (b · scale_b + offset))), each product and sum rounded once: what
// onnxruntime's kernel computes on processors with FMA, tie for tie. a, b, y all of one type.
void add(const void* a, const void* b, void* y, DType type, int64_t count, float scale_a,
         float scale_b, float offset, CodeRange range);
// y = clamp(round((a − zero_a) · (b − zero_b) · scale) + range.zero_point); all of one type.
struct ProductScale {
  int32_t zero_a, zero_b;
  float scale;
};
void multiply(const void* a, const void* b, void* y, DType type, int64_t count, ProductScale p,
              CodeRange range);
// y = clamp(round(x · scale + offset)).
void rescale(const void* x, void* y, DType type, int64_t count, float scale, float offset,
             CodeRange range);
// y[i] = table[x[i]], bytes.
void lookup(const uint8_t* x, uint8_t* y, int64_t count, const uint8_t* table);

}  // namespace qtool::integer
