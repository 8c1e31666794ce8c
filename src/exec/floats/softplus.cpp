// Softplus and Mish of floats in any layout, exact in their tails, where oneDNN's are not.
#include "exec/floats/exp.hpp"

namespace qtool::floats {
namespace {

// max(x, 0) + ln(1 + t), t = e^−|x|; ln(1 + t) = t · P(t) / Q(t), fitted to 9e-10.
inline __attribute__((always_inline)) void softplus(Lanes& x) {
  Lanes t = x > 0.f ? -x : x;
  limit(t, -87.f, 0.f);
  to_exp(t);
  Lanes p = Lanes{} + 0.00341728446f, q = Lanes{} + 0.0752873197f;
  p = p * t + 0.238157615f, q = q * t + 0.687936425f;
  p = p * t + 1.06621861f, q = q * t + 1.56621850f;
  p = p * t + 1.f, q = q * t + 1.f;
  x = (x < 0.f ? Lanes{} : x) + t * p / q;
}

// x · tanh(softplus(x)) = x · s / (s + 2) with s = eˣ · (eˣ + 2).
inline __attribute__((always_inline)) void mish(Lanes& x) {
  Lanes e = x;
  limit(e, -87.f, 20.f);
  to_exp(e);
  const Lanes s = e * (e + 2.f);
  x = x * (s / (s + 2.f));
}

QTOOL_CLONES void map_softplus(const float* x, float* y, int64_t count) {
  map<softplus>(x, y, count);
}
QTOOL_CLONES void map_mish(const float* x, float* y, int64_t count) { map<mish>(x, y, count); }

}  // namespace

std::unique_ptr<Kernel> make_softplus(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat) return nullptr;
  return std::make_unique<MapKernel>(map_softplus, "float:softplus", AtZero::kOther);
}

std::unique_ptr<Kernel> make_mish(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat) return nullptr;
  return std::make_unique<MapKernel>(map_mish, "float:mish");
}

}  // namespace qtool::floats
