// QuantizeLinear and DequantizeLinear per tensor, 8 bits.
#include "exec/integer/kernels.hpp"
#include "exec/integer/loops.hpp"

namespace qtool::integer {
namespace {

class QuantizeKernel : public Kernel {
 public:
  QuantizeKernel(Affine affine, DType type) : affine_(affine), type_(type) {}
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor x = inputs[0].plain();
    Tensor codes = Tensor::uninitialized(type_, x.shape());
    quantize(x.data<float>().data(), codes.mutable_raw(), type_, x.size(), affine_.scale,
             {affine_.zero_point, lowest_code(type_), highest_code(type_)});
    outputs[0] = Array(std::move(codes));
  }
  std::string name() const override { return "integer:quantize"; }

 private:
  Affine affine_;
  DType type_;
};

class DequantizeKernel : public Kernel {
 public:
  explicit DequantizeKernel(Affine affine) : affine_(affine) {}
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor codes = inputs[0].plain();
    Tensor x = Tensor::uninitialized(DType::kFloat, codes.shape());
    dequantize(codes.raw(), codes.dtype(), x.mutable_data<float>().data(), codes.size(),
               affine_.scale, affine_.zero_point);
    outputs[0] = Array(std::move(x));
  }
  std::string name() const override { return "integer:dequantize"; }

 private:
  Affine affine_;
};

}  // namespace

std::optional<Affine> affine(const KernelRequest& request, size_t i) {
  const Tensor* scale = request.constant(i);
  const Tensor* zero = request.constant(i + 1);
  if (!scale || scale->size() != 1 || scale->dtype() != DType::kFloat) return std::nullopt;
  if (request.has(i + 1) && (!zero || zero->size() != 1)) return std::nullopt;
  return Affine{scale->data<float>()[0], zero ? static_cast<int32_t>(zero->integer(0)) : 0};
}

std::unique_ptr<Kernel> make_quantize(const KernelRequest& request) {
  const auto parameters = affine(request, 1);
  if (!parameters || request.inputs[0].dtype != DType::kFloat) return nullptr;
  const DType type = request.has(2) ? request.inputs[2].dtype
                                    : static_cast<DType>(attr_int(request.node, "output_dtype",
                                                                  static_cast<int>(DType::kUint8)));
  if (!is_eight_bit(type) || attr_int(request.node, "precision", 0)) return nullptr;
  return std::make_unique<QuantizeKernel>(*parameters, type);
}

std::unique_ptr<Kernel> make_dequantize(const KernelRequest& request) {
  const auto parameters = affine(request, 1);
  if (!parameters || !is_eight_bit(request.inputs[0].dtype) ||
      attr_int(request.node, "output_dtype", 0))
    return nullptr;
  return std::make_unique<DequantizeKernel>(*parameters);
}

}  // namespace qtool::integer
