// ChannelAffine of floats.
#include "exec/floats/kernels.hpp"
#include "qtool/ops.hpp"

namespace qtool::floats {
namespace {

// [outer][channels][inner]
struct Extent {
  int64_t outer, channels, inner;
};

QTOOL_CLONES void scale_and_shift(const float* x, const float* gain, const float* shift, float* y,
                                  Extent e) {
  if (e.inner == 1) {
    for (int64_t o = 0; o < e.outer; ++o, x += e.channels, y += e.channels)
      for (int64_t c = 0; c < e.channels; ++c) y[c] = x[c] * gain[c] + shift[c];
    return;
  }
  for (int64_t o = 0; o < e.outer; ++o) {
    for (int64_t c = 0; c < e.channels; ++c, x += e.inner, y += e.inner) {
      const float g = gain[c], s = shift[c];
      for (int64_t i = 0; i < e.inner; ++i) y[i] = x[i] * g + s;
    }
  }
}

class ChannelAffineKernel : public Kernel {
 public:
  explicit ChannelAffineKernel(Extent extent) : extent_(extent) {}
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor x = inputs[0].plain(), gain = factor(inputs, 1, 1), shift = factor(inputs, 2, 0);
    Tensor y = Tensor::uninitialized(DType::kFloat, x.shape());
    scale_and_shift(x.data<float>().data(), gain.data<float>().data(), shift.data<float>().data(),
                    y.mutable_data<float>().data(), extent_);
    outputs[0] = Array(std::move(y));
  }
  std::string name() const override { return "float:channel_affine"; }

 private:
  Tensor factor(std::span<Array> inputs, size_t i, float absent) const {
    if (i < inputs.size() && inputs[i].defined()) return inputs[i].plain();
    return Tensor::of<float>({extent_.channels},
                             std::vector<float>(static_cast<size_t>(extent_.channels), absent));
  }
  Extent extent_;
};

}  // namespace

std::unique_ptr<Kernel> make_channel_affine(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  const int64_t axis = normalize_axis(attr_int(request.node, "axis", 1),
                                      static_cast<int64_t>(x.shape.size()), request.node);
  const int64_t channels = x.shape[static_cast<size_t>(axis)];
  if (x.dtype != DType::kFloat) return nullptr;
  for (size_t i = 1; i <= 2; ++i)
    if (request.has(i) && element_count(request.inputs[i].shape) != channels) return nullptr;
  return std::make_unique<ChannelAffineKernel>(
      Extent{element_count({x.shape.begin(), x.shape.begin() + axis}), channels,
             element_count({x.shape.begin() + axis + 1, x.shape.end()})});
}

}  // namespace qtool::floats
