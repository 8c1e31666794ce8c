// Erf and Gelu of floats in any layout.
#include "exec/floats/erf.hpp"

#include <algorithm>
#include <cstring>

#include "exec/floats/kernels.hpp"

namespace qtool::floats {
namespace {

typedef float Float8 __attribute__((vector_size(32)));
constexpr int64_t kLanes = 8;

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

template <void (*function)(Float8&)>
inline __attribute__((always_inline)) void map(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const auto bytes = static_cast<size_t>(std::min(kLanes, count - i)) * sizeof(float);
    Float8 v{};
    if (bytes == sizeof v) {
      std::memcpy(&v, x + i, sizeof v);
      function(v);
      std::memcpy(y + i, &v, sizeof v);
    } else {
      std::memcpy(&v, x + i, bytes);
      function(v);
      std::memcpy(y + i, &v, bytes);
    }
  }
}

QTOOL_FLOAT_CLONES void map_erf(const float* x, float* y, int64_t count) { map<erf>(x, y, count); }
QTOOL_FLOAT_CLONES void map_gelu(const float* x, float* y, int64_t count) {
  map<gelu>(x, y, count);
}

using Map = void (*)(const float*, float*, int64_t);

// Split over the threads that the run was given: every element has the same bits in any split.
void run_parallel(Map map, const float* x, float* y, int64_t count) {
  constexpr int64_t kBlock = 1 << 13;
  const int64_t blocks = (count + kBlock - 1) / kBlock;
#pragma omp parallel for schedule(static) if (blocks > 2)
  for (int64_t b = 0; b < blocks; ++b)
    map(x + b * kBlock, y + b * kBlock, std::min(kBlock, count - b * kBlock));
}

class MapKernel : public Kernel {
 public:
  MapKernel(Map map, std::string name) : map_(map), name_(std::move(name)) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Array x = std::move(inputs[0]), y;
    if (x.tensor.is_unique()) {
      y = std::move(x);
    } else {
      y = Array(x.dtype, x.shape, Tensor::uninitialized(x.tensor.dtype(), x.tensor.shape()),
                x.layout);
    }
    auto* to = static_cast<float*>(y.tensor.mutable_raw());
    const auto* from = x.defined() ? static_cast<const float*>(x.tensor.raw()) : to;
    run_parallel(map_, from, to, y.tensor.bytes() / static_cast<int64_t>(sizeof(float)));
    outputs[0] = std::move(y);
  }
  std::string name() const override { return name_; }

 private:
  Map map_;
  std::string name_;
};

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
