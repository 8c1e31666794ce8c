// Erf of floats in any layout.
#include <algorithm>

#include "exec/floats/kernels.hpp"

namespace qtool::floats {
namespace {

// erf(x) = x · P(x²) / Q(x²) for |x| ≤ 4, and ±1 beyond in single precision; coefficients fitted for the
// least relative error, 2.5e-8.
QTOOL_FLOAT_CLONES void erf(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    float v = x[i];
    v = v > 4.f ? 4.f : v;  // keeps NaN
    v = v < -4.f ? -4.f : v;
    const float t = v * v;
    float p = 1.98692274e-06f, q = 3.74206609e-05f;
    p = p * t + 0.000284546928f, q = q * t + 0.00118536813f;
    p = p * t + 0.00388250308f, q = q * t + 0.0152055521f;
    p = p * t + 0.0530991095f, q = q * t + 0.115341852f;
    p = p * t + 0.193525432f, q = q * t + 0.504840008f;
    p = p * t + 1.12837914f, q = q * t + 1.f;
    float r = v * p / q;
    r = r > 1.f ? 1.f : r;
    y[i] = r < -1.f ? -1.f : r;
  }
}

class ErfKernel : public Kernel {
 public:
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Array x = std::move(inputs[0]);
    Array y(x.dtype, x.shape, Tensor::uninitialized(x.tensor.dtype(), x.tensor.shape()), x.layout);
    erf(static_cast<const float*>(x.tensor.raw()), static_cast<float*>(y.tensor.mutable_raw()),
        x.tensor.bytes() / static_cast<int64_t>(sizeof(float)));
    outputs[0] = std::move(y);
  }
  std::string name() const override { return "float:erf"; }
};

}  // namespace

std::unique_ptr<Kernel> make_erf(const KernelRequest& request) {
  return request.inputs[0].dtype == DType::kFloat ? std::make_unique<ErfKernel>() : nullptr;
}

}  // namespace qtool::floats
