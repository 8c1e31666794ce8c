// Squares and cubes of floats in any layout: Pow with such an exponent.
#include "exec/floats/map.hpp"

namespace qtool::floats {
namespace {

inline __attribute__((always_inline)) void square(Lanes& x) { x = x * x; }
inline __attribute__((always_inline)) void cube(Lanes& x) { x = x * x * x; }

QTOOL_CLONES void map_square(const float* x, float* y, int64_t count) { map<square>(x, y, count); }
QTOOL_CLONES void map_cube(const float* x, float* y, int64_t count) { map<cube>(x, y, count); }

}  // namespace

std::unique_ptr<Kernel> make_power(const KernelRequest& request) {
  const Tensor* exponent = request.constant(1);
  if (request.inputs[0].dtype != DType::kFloat || !exponent || exponent->size() != 1 ||
      exponent->rank() > std::ssize(request.inputs[0].shape))
    return nullptr;
  const double e = exponent->number(0);
  if (e == 2) return std::make_unique<MapKernel>(map_square, "float:square");
  if (e == 3) return std::make_unique<MapKernel>(map_cube, "float:cube");
  return nullptr;
}

}  // namespace qtool::floats
