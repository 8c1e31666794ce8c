// Selu of floats in any layout.
#include "exec/floats/exp.hpp"

namespace qtool::floats {
namespace {

struct Slopes {
  float positive, negative;
};

QTOOL_CLONES void map_selu(const float* x, float* y, int64_t count, Slopes slopes) {
  map(
      x, y, count, [&](Lanes & v) __attribute__((always_inline)) {
        Lanes below = v;
        limit(below, -87.f, 0.f);
        const Exponential e = parts_of_exp(below);
        const Lanes less = slopes.negative * (e.scale * e.rest + (e.scale - 1.f));
        v = v > 0.f ? slopes.positive * v : less;
      });
}

class SeluKernel : public Kernel {
 public:
  explicit SeluKernel(Slopes slopes) : slopes_(slopes) {}
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    outputs[0] =
        mapped(std::move(inputs[0]), AtZero::kZero,
               [this](const float* x, float* y, int64_t count) { map_selu(x, y, count, slopes_); });
  }
  std::string name() const override { return "float:selu"; }

 private:
  Slopes slopes_;
};

}  // namespace

std::unique_ptr<Kernel> make_selu(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat) return nullptr;
  const float alpha = attr_float(request.node, "alpha", 1.67326319217681884765625f),
              gamma = attr_float(request.node, "gamma", 1.05070102214813232421875f);
  return std::make_unique<SeluKernel>(Slopes{gamma, gamma * alpha});
}

}  // namespace qtool::floats
