// Format layer: number formats, quantization parameters, quantize and dequantize. The one rounding
// function lives here.
//
//   QParams p = affine_params(lo, hi, {.bits = 8, .symmetric = false});
//   Tensor codes = quantize(x, p), back = dequantize(codes, p);
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "qtool/tensor.hpp"

namespace qtool {

// Round half to even, as ONNX's QuantizeLinear defines (IEEE default mode).
float round_half_even(float value);

// Width and kind of a uniform integer grid.
struct QuantSpec {
  int bits = 8;               // 1 to 16
  bool symmetric = false;     // zero point 0 and signed codes
  bool signed_codes = false;  // asymmetric: int8 rather than uint8 container
  bool narrow = false;        // symmetric: −(2^(b−1)−1) … rather than −2^(b−1)
};

// Parameters of an affine quantizer: real = (code − zero_point) · scale. Per tensor (axis −1, one
// entry) or per slice of `axis`; with `block` > 0 one entry per `block` elements along `axis`
// (then scale has the tensor's shape with that axis divided by block, row-major).
struct QParams {
  DType storage = DType::kUint8;  // container: (u)int8, (u)int16, (u)int4, (u)int2
  int64_t axis = -1;
  int64_t block = 0;
  std::vector<float> scale;
  std::vector<int32_t> zero_point;          // same count as scale
  std::vector<int32_t> code_min, code_max;  // one entry, or one per scale (per-filter widths)
  int32_t min_at(size_t i) const { return code_min[code_min.size() == 1 ? 0 : i]; }
  int32_t max_at(size_t i) const { return code_max[code_max.size() == 1 ? 0 : i]; }
};

// Codes of `bits`: symmetric → [−2^(b−1) (+1 if narrow), 2^(b−1)−1], else [0, 2^b−1] or shifted when signed_codes.
std::pair<int32_t, int32_t> code_range(const QuantSpec& spec);
// The container type that holds the codes of a spec: 8 bits up to 8, 16 above.
DType container_of(const QuantSpec& spec);

// Per-tensor parameters that cover [lo, hi] ∪ {0}. Degenerate ranges get a normal scale > 0. Throws
// Error{kModel, QT-E350} when a bound is not finite or lo > hi.
QParams affine_params(double lo, double hi, const QuantSpec& spec);
// Per-channel symmetric parameters from given positive scales.
QParams symmetric_params(std::vector<float> scales, int64_t axis, const QuantSpec& spec);

// All three throw Error{kModel}: QT-E351 when the parameters do not fit the tensor or each other,
// QT-E352 for element types that are not quantized, QT-E353 for NaN.
//
// Codes in p.storage (packed when sub-byte) of a tensor of floats.
Tensor quantize(const Tensor& real, const QParams& p);
// Codes in any container of up to 16 bits, as float32.
Tensor dequantize(const Tensor& codes, const QParams& p);
// dequantize(quantize(x)) in one pass, bit by bit.
Tensor fake_quantize(const Tensor& real, const QParams& p);
// The same for floats in place, without checks: the scale is positive and finite; NaN stays NaN.
void fake_quantize_inplace(std::span<float> values, float scale, int32_t zero_point,
                           int32_t code_min, int32_t code_max);

}  // namespace qtool
