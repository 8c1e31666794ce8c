#include <algorithm>
#include <cmath>
#include <limits>

#include "qtool/format.hpp"

namespace qtool {
namespace {

constexpr int kMaxBits = 16;

void check_bits(int bits) {
  if (bits >= 1 && bits <= kMaxBits) return;
  throw_usage("QT-E120", cat(bits, " bits: a uniform grid has 1 to ", kMaxBits));
}

// The scale as float32, moved into the normal positive numbers.
float normal_scale(double scale) {
  constexpr double kLowest = std::numeric_limits<float>::min();
  constexpr double kHighest = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(scale, kLowest, kHighest));
}

}  // namespace

float round_half_even(float value) { return std::nearbyint(value); }

std::pair<int32_t, int32_t> code_range(const QuantSpec& spec) {
  check_bits(spec.bits);
  const int32_t half = 1 << (spec.bits - 1);
  if (spec.symmetric) return {-half + (spec.narrow ? 1 : 0), half - 1};
  if (spec.signed_codes) return {-half, half - 1};
  return {0, 2 * half - 1};
}

DType container_of(const QuantSpec& spec) {
  check_bits(spec.bits);
  const bool is_signed = spec.symmetric || spec.signed_codes;
  if (spec.bits <= 8) return is_signed ? DType::kInt8 : DType::kUint8;
  return is_signed ? DType::kInt16 : DType::kUint16;
}

QParams affine_params(double lo, double hi, const QuantSpec& spec) {
  if (!std::isfinite(lo) || !std::isfinite(hi) || lo > hi) {
    throw_model("QT-E350", cat("cannot quantize the range [", lo, ", ", hi, "]"));
  }
  lo = std::min(lo, 0.0);
  hi = std::max(hi, 0.0);
  const auto [code_min, code_max] = code_range(spec);
  QParams p;
  p.storage = container_of(spec);
  p.code_min = {code_min};
  p.code_max = {code_max};
  if (lo == hi) {  // only zeros: every scale is exact, one keeps products normal
    p.scale = {1.0f};
    p.zero_point = {spec.symmetric ? 0 : code_min};
    return p;
  }
  if (spec.symmetric) {
    p.scale = {normal_scale(std::max(-lo, hi) / std::max(code_max, 1))};
    p.zero_point = {0};
    return p;
  }
  const float scale = normal_scale((hi - lo) / (code_max - code_min));
  const double zero_point = std::nearbyint(code_min - lo / double{scale});
  p.scale = {scale};
  p.zero_point = {static_cast<int32_t>(std::clamp<double>(zero_point, code_min, code_max))};
  return p;
}

QParams symmetric_params(std::vector<float> scales, int64_t axis, const QuantSpec& spec) {
  QuantSpec symmetric = spec;
  symmetric.symmetric = true;
  const auto [code_min, code_max] = code_range(symmetric);
  QParams p;
  p.storage = container_of(symmetric);
  p.axis = axis;
  p.zero_point.assign(scales.size(), 0);
  p.scale = std::move(scales);
  p.code_min = {code_min};
  p.code_max = {code_max};
  return p;
}

}  // namespace qtool
