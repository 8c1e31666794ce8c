// Floats of 4 to 16 bits by one description: how many bits of exponent and mantissa, which bias, and
// what the codes beyond the finite ones mean.
//
// Source: ONNX technical details "Float stored in 8 bits", "Float stored in 4 bits", Cast-25; IEEE 754.
#pragma once

#include <cstdint>

#include "tensor/elements.hpp"

namespace qtool {

// What overflow and rounding do; `scale` is for float8e8m0, a bare exponent.
struct SmallFloatRounding {
  bool saturate = true;
  ScaleRounding scale = ScaleRounding::kUp;
};

bool is_small_float(DType type);
// Exact: every small float is a float32.
float decode_small_float(ConstElements in, int64_t i);
// Rounds once, half to even, straight from double.
void encode_small_float(Elements out, int64_t i, double value, SmallFloatRounding rounding);

}  // namespace qtool
