// Floor, Ceil and Round of floats in any layout.
#include "exec/floats/map.hpp"

namespace qtool::floats {
namespace {

enum class Towards { kLower, kUpper, kNearest };

// The sign of x stays, that of zeros, too.
template <Towards towards>
inline __attribute__((always_inline)) void to_whole(Lanes& x) {
  constexpr float kWhole =
      8388608.f;  // 2²³: floats from there on are whole; adding it rounds, ties to even
  IntLanes bits;
  std::memcpy(&bits, &x, sizeof x);
  const IntLanes sign = bits & INT32_MIN;
  const Lanes size = x < 0.f ? -x : x;
  const Lanes rounded = (size + kWhole) - kWhole;
  Lanes y = x < 0.f ? -rounded : rounded;
  if constexpr (towards == Towards::kLower) y = y > x ? y - 1.f : y;
  if constexpr (towards == Towards::kUpper) y = y < x ? y + 1.f : y;
  std::memcpy(&bits, &y, sizeof y);
  bits |= sign;
  std::memcpy(&y, &bits, sizeof y);
  x = size < kWhole ? y : x;
}

QTOOL_CLONES void map_floor(const float* x, float* y, int64_t count) {
  map<to_whole<Towards::kLower>>(x, y, count);
}
QTOOL_CLONES void map_ceil(const float* x, float* y, int64_t count) {
  map<to_whole<Towards::kUpper>>(x, y, count);
}
QTOOL_CLONES void map_round(const float* x, float* y, int64_t count) {
  map<to_whole<Towards::kNearest>>(x, y, count);
}

}  // namespace

std::unique_ptr<Kernel> make_round(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat) return nullptr;
  const std::string& type = request.node.type;
  const auto map = type == "Floor" ? map_floor : type == "Ceil" ? map_ceil : map_round;
  return std::make_unique<MapKernel>(map, "float:round");
}

}  // namespace qtool::floats
