// Erf and Gelu of floats in any layout.
#include "exec/floats/erf.hpp"

#include "exec/floats/map.hpp"
#include "exec/floats/odd_rational.hpp"

namespace qtool::floats {
namespace {

// Coefficients fitted for the least relative error, 2.5e-8.
constexpr OddRational<6> kErf = {
    4.f,
    {1.98692274e-06f, 0.000284546928f, 0.00388250308f, 0.0530991095f, 0.193525432f, 1.12837914f},
    {3.74206609e-05f, 0.00118536813f, 0.0152055521f, 0.115341852f, 0.504840008f, 1.f}};

inline __attribute__((always_inline)) void erf(Lanes& x) { evaluate(kErf, x); }

inline __attribute__((always_inline)) void gelu(Lanes& x) {
  Lanes e = x * 0.707106781f;
  erf(e);
  x = x * 0.5f * (e + 1.f);
}

QTOOL_CLONES void map_erf(const float* x, float* y, int64_t count) { map<erf>(x, y, count); }
QTOOL_CLONES void map_gelu(const float* x, float* y, int64_t count) { map<gelu>(x, y, count); }

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
