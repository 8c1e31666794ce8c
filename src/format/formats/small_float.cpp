// Floating point with a sign, two bits of exponent and the rest for the mantissa.
#include <algorithm>
#include <cmath>

#include "format/formats/records.hpp"

namespace qtool {
namespace {

// In units of the smallest: m below 2^M, then (2^M + m) · 2^e.
Codebook codebook(const CodebookRequest& request) {
  const int mantissa = request.bits - 3, steps = 1 << mantissa;
  std::vector<int> magnitudes;
  for (int m = 0; m < steps; ++m) magnitudes.push_back(m);
  for (int exponent = 0; exponent < 3; ++exponent) {
    for (int m = 0; m < steps; ++m) magnitudes.push_back((steps + m) << exponent);
  }
  return symmetric_codebook(magnitudes, true);
}

// Half of the last place.
double half_place(const WeightFormat&, int bits, double value) {
  return std::max(0.5, std::fabs(value) / std::exp2(bits - 2));
}

}  // namespace

extern const FormatDef kFloatE2 = {
    .name = "float-e2",
    .summary = "small floats with two bits of exponent (4 bits: E2M1, 6: E2M3)",
    .levels = "0, +-1 ... +-(2^(M+1)-1)*4, M = b-3",
    .paper = "OCP Microscaling Formats 1.0; ONNX float4e2m1",
    .min_bits = 3,
    .max_bits = 6,
    .of = CodebookOf::kFixed,
    .codebook = codebook,
    .error_bound = half_place};

extern const FormatDef kMx = {
    .name = "mx",
    .summary = "small floats with two bits of exponent, a power of two for every 32 weights",
    .levels = "0, +-1 ... +-(2^(M+1)-1)*4, M = b-3",
    .paper = "OCP Microscaling Formats 1.0; arXiv 2310.10537",
    .min_bits = 4,
    .max_bits = 6,
    .of = CodebookOf::kFixed,
    .codebook = codebook,
    .error_bound = half_place,
    .power_of_two_scales = true,
    .scale_block = 32};

extern const FormatDef kBlockFloat = {
    .name = "block-float",
    .summary = "whole numbers, a power of two for every 16 weights",
    .levels = "-2^(b-1) ... 2^(b-1)-1",
    .paper = "arXiv 1709.07776, 2010.11386",
    .min_bits = 2,
    .max_bits = 8,
    .power_of_two_scales = true,
    .scale_block = 16};

}  // namespace qtool
