// FakeQuantize of floats.
#include <cmath>

#include "exec/floats/map.hpp"
#include "qtool/ops.hpp"

namespace qtool::floats {
namespace {

struct Levels {
  float scale, low, high;
};

QTOOL_CLONES void round_to(const float* x, float* y, int64_t count, Levels l) {
  for (int64_t i = 0; i < count; ++i) {
    float code = std::nearbyint(x[i] / l.scale);
    code = code > l.low ? code : l.low;
    y[i] = l.scale * (code < l.high ? code : l.high);
  }
}

class FakeQuantizeKernel : public Kernel {
 public:
  FakeQuantizeKernel(float low, float high) : low_(low), high_(high) {}
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Levels levels{inputs[1].plain().data<float>()[0], low_, high_};
    outputs[0] =
        mapped(std::move(inputs[0]), low_ <= 0 && high_ >= 0 ? AtZero::kZero : AtZero::kOther,
               [&](const float* x, float* y, int64_t count) { round_to(x, y, count, levels); });
  }
  std::string name() const override { return "float:fake_quantize"; }

 private:
  float low_, high_;
};

}  // namespace

std::unique_ptr<Kernel> make_fake_quantize(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat || element_count(request.inputs[1].shape) != 1)
    return nullptr;
  return std::make_unique<FakeQuantizeKernel>(
      static_cast<float>(attr_int(request.node, "low", -128)),
      static_cast<float>(attr_int(request.node, "high", 127)));
}

}  // namespace qtool::floats
