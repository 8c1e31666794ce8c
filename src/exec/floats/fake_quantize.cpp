// FakeQuantize of floats.
#include <cmath>

#include "exec/floats/kernels.hpp"
#include "exec/same_places.hpp"
#include "qtool/ops.hpp"

namespace qtool::floats {
namespace {

struct Levels {
  float scale, low, high;
};

QTOOL_FLOAT_CLONES void round_to(const float* x, float* y, int64_t count, Levels l) {
  for (int64_t i = 0; i < count; ++i) {
    float code = std::nearbyint(x[i] / l.scale);
    code = code > l.low ? code : l.low;
    y[i] = l.scale * (code < l.high ? code : l.high);
  }
}

class FakeQuantizeKernel : public Kernel {
 public:
  FakeQuantizeKernel(const InputInfo& input, float low, float high)
      : low_(low), high_(high), places_(input, DType::kFloat) {}
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Array x = places_.source(inputs[0]);
    const float scale = inputs[1].plain().data<float>()[0];
    outputs[0] = places_.result(x);
    round_to(static_cast<const float*>(x.tensor.raw()),
             static_cast<float*>(outputs[0].tensor.mutable_raw()), element_count(x.shape),
             {scale, low_, high_});
  }
  std::string name() const override { return "float:fake_quantize"; }

 private:
  float low_, high_;
  SamePlaces places_;
};

}  // namespace

std::unique_ptr<Kernel> make_fake_quantize(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat || element_count(request.inputs[1].shape) != 1)
    return nullptr;
  return std::make_unique<FakeQuantizeKernel>(
      request.inputs[0], static_cast<float>(attr_int(request.node, "low", -128)),
      static_cast<float>(attr_int(request.node, "high", 127)));
}

}  // namespace qtool::floats
