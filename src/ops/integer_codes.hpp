// Parts of the integer operators: codes without their zero point, and sums back to codes.
#pragma once

#include <algorithm>
#include <cmath>

#include "ops/dispatch.hpp"

namespace qtool {

// Codes (8-bit, input `codes`) minus their zero point (input `zero_point`, absent: 0), which must
// broadcast to them; a list of zero points belongs to the dimension `axis` counted from the end.
std::vector<int32_t> centered_codes(const Call& call, size_t codes, size_t zero_point,
                                    int64_t axis);

// Input i as floats, a scalar or `count` of them; 16-bit floats widen.
std::vector<float> scales(const Call& call, size_t i, int64_t count);

// round half to even(sum · factor) + zero_point, saturated.
template <typename T>
T requantize(int32_t sum, float factor, float zero_point) {
  const float code = std::nearbyint(static_cast<float>(sum) * factor) + zero_point;
  const float low = std::numeric_limits<T>::lowest(), high = std::numeric_limits<T>::max();
  return static_cast<T>(code > low ? std::min(code, high) : low);
}

// Calls fn(T{}) for the 8-bit type of the zero point, input i: the output's element type.
template <typename Fn>
auto with_code_type(const Call& call, size_t i, Fn&& fn) {
  require(call.in(i).size() == 1, call, "input ", i, " must be a scalar");
  switch (call.in(i).dtype()) {
    case DType::kInt8:
      return fn(int8_t{});
    case DType::kUint8:
      return fn(uint8_t{});
    default:
      unsupported_type(call, call.in(i).dtype());
  }
}

}  // namespace qtool
