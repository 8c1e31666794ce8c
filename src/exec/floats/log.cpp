// The natural logarithm of floats in any layout.
#include <limits>

#include "exec/floats/map.hpp"

namespace qtool::floats {
namespace {

// x = 2ᵉ · m with m in [√½, √2), f = m − 1: ln x = e · ln 2 + f − f²/2 + f³ · P(f), fitted for the least relative
// error, 8e-10. Not a number below 0, −infinity at 0.
inline __attribute__((always_inline)) void to_log(Lanes& x) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(),
                  kLeastNormal = std::numeric_limits<float>::min();
  constexpr int32_t kRootHalf = 0x3f3504f3;
  const IntLanes small = x < kLeastNormal;  // −1 where true
  Lanes v = small != 0 ? x * 8388608.f : x;
  v = x > 0.f ? v : Lanes{} + 1.f;
  IntLanes bits;
  std::memcpy(&bits, &v, sizeof v);
  const IntLanes e = (bits - kRootHalf) >> 23;
  bits -= e << 23;
  Lanes m;
  std::memcpy(&m, &bits, sizeof m);
  const Lanes f = m - 1.f, power = __builtin_convertvector(e + small * 23, Lanes);
  Lanes p = Lanes{} + 0.0674769181f;
  p = p * f - 0.116775053f;
  p = p * f + 0.118887091f;
  p = p * f - 0.124053426f;
  p = p * f + 0.142194516f;
  p = p * f - 0.16668005f;
  p = p * f + 0.200021235f;
  p = p * f - 0.250000095f;
  p = p * f + 0.333333125f;
  const Lanes t = f * f;
  Lanes y = (power * -2.12194440e-4f + (t * f * p - 0.5f * t)) + f;  // ln 2 in two parts
  y += power * 0.693359375f;
  y = x < 0.f ? Lanes{} + std::numeric_limits<float>::quiet_NaN() : y;
  y = x == 0.f ? Lanes{} - kInfinity : y;
  x = x < kInfinity ? y : x;  // infinity and NaN stay
}

QTOOL_CLONES void map_log(const float* x, float* y, int64_t count) { map<to_log>(x, y, count); }

}  // namespace

std::unique_ptr<Kernel> make_log(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat) return nullptr;
  return std::make_unique<MapKernel>(map_log, "float:log", AtZero::kOther);
}

}  // namespace qtool::floats
