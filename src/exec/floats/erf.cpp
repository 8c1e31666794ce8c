// Erf and Gelu of floats in any layout.
#include "exec/floats/erf.hpp"

#include "exec/floats/map.hpp"

namespace qtool::floats {
namespace {

// erf(x) = x · P(x²) / Q(x²) for |x| ≤ 4, and ±1 beyond in single precision; coefficients fitted for the
// least relative error, 2.5e-8. NaN stays NaN.
inline __attribute__((always_inline)) void erf(Float8& x) {
  const Float8 four = Float8{} + 4.f, one = Float8{} + 1.f;
  Float8 v = x > four ? four : x;
  v = v < -four ? -four : v;
  const Float8 t = v * v;
  Float8 p = Float8{} + 1.98692274e-06f, q = Float8{} + 3.74206609e-05f;
  p = p * t + 0.000284546928f, q = q * t + 0.00118536813f;
  p = p * t + 0.00388250308f, q = q * t + 0.0152055521f;
  p = p * t + 0.0530991095f, q = q * t + 0.115341852f;
  p = p * t + 0.193525432f, q = q * t + 0.504840008f;
  p = p * t + 1.12837914f, q = q * t + 1.f;
  v = v * p / q;
  v = v > one ? one : v;
  x = v < -one ? -one : v;
}

inline __attribute__((always_inline)) void gelu(Float8& x) {
  Float8 e = x * 0.707106781f;
  erf(e);
  x = x * 0.5f * (e + 1.f);
}

QTOOL_FLOAT_CLONES void map_erf(const float* x, float* y, int64_t count) { map<erf>(x, y, count); }
QTOOL_FLOAT_CLONES void map_gelu(const float* x, float* y, int64_t count) {
  map<gelu>(x, y, count);
}

}  // namespace

void gelu_in_place(float* values, int64_t count) { run_parallel(map_gelu, values, values, count); }

std::unique_ptr<Kernel> make_erf(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat) return nullptr;
  return std::make_unique<MapKernel>(map_erf, "float:erf");
}

std::unique_ptr<Kernel> make_gelu(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat ||
      attr_string(request.node, "approximate", "none") != "none")
    return nullptr;
  return std::make_unique<MapKernel>(map_gelu, "float:gelu");
}

}  // namespace qtool::floats
