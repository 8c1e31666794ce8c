// QLinearGlobalAveragePool (com.microsoft): x, x_scale, x_zero_point, y_scale, y_zero_point.
#include <cmath>

#include "exec/integer/kernels.hpp"
#include "exec/integer/loops.hpp"

namespace qtool::integer {
namespace {

template <typename Code>
Tensor pool(const Tensor& x, DType type, float scale, int32_t x_zero, const CodeRange& to) {
  Shape shape = x.shape();
  int64_t positions = 1;
  for (size_t i = 2; i < shape.size(); ++i) {
    positions *= shape[i];
    shape[i] = 1;
  }
  Tensor y = Tensor::uninitialized(type, shape);
  auto out = y.mutable_data<Code>();
  const Code* in = x.data<Code>().data();
  for (size_t i = 0; i < out.size(); ++i, in += positions) {
    int64_t sum = 0;
    for (int64_t p = 0; p < positions; ++p) sum += in[p];
    sum -= positions * x_zero;
    const float v =
        std::nearbyint(static_cast<float>(sum) * scale) + static_cast<float>(to.zero_point);
    out[i] = static_cast<Code>(
        std::clamp(v, static_cast<float>(to.lowest), static_cast<float>(to.highest)));
  }
  return y;
}

class GlobalAveragePoolKernel : public Kernel {
 public:
  GlobalAveragePoolKernel(Affine x, Affine y, CodeRange to) : x_(x), y_(y), to_(to) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor x = inputs[0].plain();
    const int64_t positions = x.size() / (x.dim(0) * x.dim(1));
    const float scale = x_.scale / (y_.scale * static_cast<float>(positions));
    outputs[0] =
        Array(x.dtype() == DType::kUint8 ? pool<uint8_t>(x, x.dtype(), scale, x_.zero_point, to_)
                                         : pool<int8_t>(x, x.dtype(), scale, x_.zero_point, to_));
  }

  std::string name() const override { return "integer:global_average_pool"; }

 private:
  Affine x_, y_;
  CodeRange to_;
};

}  // namespace

std::unique_ptr<Kernel> make_global_average_pool(const KernelRequest& request) {
  const auto x = affine(request, 1), y = affine(request, 3);
  const InputInfo& input = request.inputs[0];
  if (!x || !y || !is_eight_bit(input.dtype) || request.inputs[4].dtype != input.dtype)
    return nullptr;
  if (attr_int(request.node, "channels_last", 0) || input.shape.size() < 3) return nullptr;
  for (int64_t d : input.shape)
    if (d <= 0) return nullptr;
  const CodeRange to{
      y->zero_point,
      static_cast<int32_t>(attr_int(request.node, "code_min", lowest_code(input.dtype))),
      static_cast<int32_t>(attr_int(request.node, "code_max", highest_code(input.dtype)))};
  return std::make_unique<GlobalAveragePoolKernel>(*x, *y, to);
}

}  // namespace qtool::integer
