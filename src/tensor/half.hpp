// float16 and bfloat16, in line for loops over many elements. Branches are selections, so that the
// compiler can work on several elements at once.
#pragma once

#include <bit>
#include <cstdint>

namespace qtool {

inline float widen_half(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  // Shifted into place the exponent lacks 127 − 15; multiplying repairs subnormals as well.
  const float finite = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  const uint32_t special = 0x7f800000u | magnitude << 13;
  return std::bit_cast<float>(sign |
                              (magnitude >= 0x7c00u ? special : std::bit_cast<uint32_t>(finite)));
}

inline uint16_t narrow_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  uint32_t code = 0;
  if (magnitude > 0x7f800000u) {
    code = 0x7e00u | (magnitude >> 13 & 0x3ffu);  // keeps the payload, quiets it
  } else if (magnitude >= 0x477ff000u) {          // rounds to 65536 or is infinite
    code = 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // subnormal: the sum rounds at 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    code = std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f);
  } else {
    const uint32_t odd = magnitude >> 13 & 1;
    code = (magnitude - 0x38000000u + 0xfffu + odd) >> 13;
  }
  return static_cast<uint16_t>(sign | code);
}

inline float widen_bfloat16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

inline uint16_t narrow_to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

}  // namespace qtool
