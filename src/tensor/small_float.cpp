#include "tensor/small_float.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "tensor/half.hpp"

namespace qtool {
namespace {

// How a format spends its last codes.
enum class Specials {
  kIeee,       // Inf, then NaN, in the topmost exponent
  kNanOnly,    // one NaN a sign: all ones (the FN types)
  kNoNegZero,  // one NaN: the code of −0 (the FNUZ types)
  kNone,       // finite numbers alone
};

struct Layout {
  int exponent_bits, mantissa_bits, bias;
  Specials specials;

  constexpr uint32_t sign_bit() const { return 1u << (exponent_bits + mantissa_bits); }
  constexpr uint32_t infinity() const { return ((1u << exponent_bits) - 1) << mantissa_bits; }
  constexpr uint32_t nan() const {
    switch (specials) {
      case Specials::kIeee:
        return infinity() | 1u << (mantissa_bits - 1);
      case Specials::kNanOnly:
        return sign_bit() - 1;
      case Specials::kNoNegZero:
        return sign_bit();
      case Specials::kNone:
        break;
    }
    return max_finite();
  }
  constexpr uint32_t max_finite() const {
    if (specials == Specials::kIeee) return infinity() - 1;
    return specials == Specials::kNanOnly ? sign_bit() - 2 : sign_bit() - 1;
  }
};

constexpr Layout kHalf{5, 10, 15, Specials::kIeee};
constexpr Layout kBfloat16{8, 7, 127, Specials::kIeee};
constexpr Layout kE4M3FN{4, 3, 7, Specials::kNanOnly};
constexpr Layout kE4M3FNUZ{4, 3, 8, Specials::kNoNegZero};
constexpr Layout kE5M2{5, 2, 15, Specials::kIeee};
constexpr Layout kE5M2FNUZ{5, 2, 16, Specials::kNoNegZero};
constexpr Layout kE2M1{2, 1, 1, Specials::kNone};

constexpr int kScaleBias = 127;  // float8e8m0: 2^(code − 127)
constexpr uint8_t kScaleNan = 255;

// The code of |value| rounded half to even, as if the exponents went on beyond the largest.
uint32_t round_magnitude(const Layout& f, double magnitude) {
  if (magnitude == 0) return 0;
  constexpr int kDoubleBias = 1023, kDoubleMantissa = 52;
  const auto raw = static_cast<int>(std::bit_cast<uint64_t>(magnitude) >> kDoubleMantissa);
  const int exponent = std::max(raw - kDoubleBias, 1 - f.bias);
  if (exponent > f.bias + 1) return UINT32_MAX;
  const auto quantum_exponent = static_cast<uint64_t>(exponent - f.mantissa_bits + kDoubleBias);
  const double quantum = std::bit_cast<double>(quantum_exponent << kDoubleMantissa);
  // A mantissa that rounds up to the next power of two carries into the exponent by itself.
  const auto mantissa = static_cast<uint32_t>(std::nearbyint(magnitude / quantum));
  return (static_cast<uint32_t>(exponent + f.bias - 1) << f.mantissa_bits) + mantissa;
}

uint32_t encode(const Layout& f, double value, bool saturate) {
  const uint32_t sign = std::signbit(value) ? f.sign_bit() : 0;
  const bool one_nan = f.specials == Specials::kNoNegZero || f.specials == Specials::kNone;
  if (std::isnan(value)) return one_nan ? f.nan() : sign | f.nan();
  uint32_t code = round_magnitude(f, std::abs(value));
  if (code > f.max_finite()) {
    if (saturate || f.specials == Specials::kNone) return sign | f.max_finite();
    if (f.specials == Specials::kIeee) return sign | f.infinity();
    return one_nan ? f.nan() : sign | f.nan();
  }
  if (code == 0 && f.specials == Specials::kNoNegZero) return 0;
  return sign | code;
}

double decode(const Layout& f, uint32_t code) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const double sign = (code & f.sign_bit()) != 0 ? -1.0 : 1.0;
  const uint32_t magnitude = code & (f.sign_bit() - 1);
  if (f.specials == Specials::kNoNegZero && code == f.sign_bit()) return kNan;
  if (f.specials != Specials::kNoNegZero && magnitude > f.max_finite()) {
    const bool infinite = f.specials == Specials::kIeee && magnitude == f.infinity();
    return std::copysign(infinite ? HUGE_VAL : kNan, sign);
  }
  const auto exponent = static_cast<int>(magnitude >> f.mantissa_bits);
  const uint32_t mantissa = magnitude & ((1u << f.mantissa_bits) - 1);
  const uint32_t hidden = exponent > 0 ? 1u << f.mantissa_bits : 0;
  return sign * std::ldexp(mantissa + hidden, std::max(exponent, 1) - f.bias - f.mantissa_bits);
}

const Layout& layout8(DType type) {
  switch (type) {
    case DType::kFloat8E4M3FN:
      return kE4M3FN;
    case DType::kFloat8E4M3FNUZ:
      return kE4M3FNUZ;
    case DType::kFloat8E5M2:
      return kE5M2;
    case DType::kFloat8E5M2FNUZ:
      return kE5M2FNUZ;
    default:
      throw_internal(cat(dtype_name(type), " is no 8-bit float"));
  }
}

// A power of two. The sign is ignored: the type has none and ONNX leaves negatives open.
uint8_t encode_scale(double value, SmallFloatRounding rounding) {
  const double magnitude = std::abs(value);
  if (std::isnan(magnitude)) return kScaleNan;
  const bool below = magnitude<0x1p-127, above = magnitude> 0x1p127;
  if (below || above) {
    if (!rounding.saturate) return kScaleNan;
    return below ? 0 : kScaleNan - 1;
  }
  int exponent = 0;
  const double mantissa = std::frexp(magnitude, &exponent);  // in [0.5, 1)
  const bool up = rounding.scale == ScaleRounding::kUp        ? mantissa > 0.5
                  : rounding.scale == ScaleRounding::kNearest ? mantissa >= 0.75
                                                              : false;
  return static_cast<uint8_t>(exponent - 1 + (up ? 1 : 0) + kScaleBias);
}

using Table = std::array<float, 256>;

Table make_table(const Layout& f) {
  Table table{};
  for (uint32_t code = 0; code < 2 * f.sign_bit(); ++code) {
    table[code] = static_cast<float>(decode(f, code));
  }
  return table;
}

}  // namespace

float half_to_float(uint16_t bits) { return widen_half(bits); }
uint16_t float_to_half(float value) { return narrow_to_half(value); }
float bfloat16_to_float(uint16_t bits) { return widen_bfloat16(bits); }
uint16_t float_to_bfloat16(float value) { return narrow_to_bfloat16(value); }

float float8_to_float(uint8_t bits, DType type) {
  static const Table e4m3fn = make_table(kE4M3FN), e4m3fnuz = make_table(kE4M3FNUZ),
                     e5m2 = make_table(kE5M2), e5m2fnuz = make_table(kE5M2FNUZ);
  switch (type) {
    case DType::kFloat8E4M3FN:
      return e4m3fn[bits];
    case DType::kFloat8E4M3FNUZ:
      return e4m3fnuz[bits];
    case DType::kFloat8E5M2:
      return e5m2[bits];
    case DType::kFloat8E5M2FNUZ:
      return e5m2fnuz[bits];
    case DType::kFloat8E8M0:
      if (bits == kScaleNan) return std::numeric_limits<float>::quiet_NaN();
      return std::ldexp(1.0f, bits - kScaleBias);
    default:
      throw_internal(cat(dtype_name(type), " is no 8-bit float"));
  }
}

uint8_t float_to_float8(float value, DType type, bool saturate, ScaleRounding rounding) {
  if (type == DType::kFloat8E8M0) return encode_scale(value, {saturate, rounding});
  return static_cast<uint8_t>(encode(layout8(type), value, saturate));
}

float float4_to_float(uint8_t bits) { return static_cast<float>(decode(kE2M1, bits & 15u)); }

uint8_t float_to_float4(float value) { return static_cast<uint8_t>(encode(kE2M1, value, true)); }

bool is_small_float(DType type) {
  switch (type) {
    case DType::kFloat16:
    case DType::kBfloat16:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat8E8M0:
    case DType::kFloat4E2M1:
      return true;
    default:
      return false;
  }
}

float decode_small_float(ConstElements in, int64_t i) {
  switch (in.type) {
    case DType::kFloat16:
      return half_to_float(static_cast<const uint16_t*>(in.bytes)[i]);
    case DType::kBfloat16:
      return bfloat16_to_float(static_cast<const uint16_t*>(in.bytes)[i]);
    case DType::kFloat4E2M1:
      return float4_to_float(static_cast<uint8_t>(packed_code(in, i)));
    default:
      return float8_to_float(static_cast<const uint8_t*>(in.bytes)[i], in.type);
  }
}

void encode_small_float(Elements out, int64_t i, double value, SmallFloatRounding rounding) {
  switch (out.type) {
    case DType::kFloat16:
      static_cast<uint16_t*>(out.bytes)[i] = static_cast<uint16_t>(encode(kHalf, value, false));
      return;
    case DType::kBfloat16:
      static_cast<uint16_t*>(out.bytes)[i] = static_cast<uint16_t>(encode(kBfloat16, value, false));
      return;
    case DType::kFloat4E2M1:
      return set_packed_code(out, i, static_cast<int>(encode(kE2M1, value, true)));
    case DType::kFloat8E8M0:
      static_cast<uint8_t*>(out.bytes)[i] = encode_scale(value, rounding);
      return;
    default:
      static_cast<uint8_t*>(out.bytes)[i] =
          static_cast<uint8_t>(encode(layout8(out.type), value, rounding.saturate));
  }
}

}  // namespace qtool
