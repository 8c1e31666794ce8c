// QuantizeLinear and DequantizeLinear per tensor, 8 bits.
#include "exec/integer/kernels.hpp"
#include "exec/integer/loops.hpp"
#include "exec/same_places.hpp"

namespace qtool::integer {
namespace {

class QuantizeKernel : public Kernel {
 public:
  QuantizeKernel(const InputInfo& input, Affine affine, DType type)
      : affine_(affine), type_(type), places_(input, type) {}
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Array x = places_.source(inputs[0]);
    outputs[0] = places_.result(x);
    quantize(static_cast<const float*>(x.tensor.raw()), outputs[0].tensor.mutable_raw(), type_,
             element_count(x.shape), affine_.scale,
             {affine_.zero_point, lowest_code(type_), highest_code(type_)});
  }
  std::string name() const override { return "integer:quantize"; }

 private:
  Affine affine_;
  DType type_;
  SamePlaces places_;
};

class DequantizeKernel : public Kernel {
 public:
  DequantizeKernel(const InputInfo& input, Affine affine)
      : affine_(affine), places_(input, DType::kFloat) {}
  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Array codes = places_.source(inputs[0]);
    outputs[0] = places_.result(codes);
    dequantize(codes.tensor.raw(), codes.dtype,
               static_cast<float*>(outputs[0].tensor.mutable_raw()), element_count(codes.shape),
               affine_.scale, affine_.zero_point);
  }
  std::string name() const override { return "integer:dequantize"; }

 private:
  Affine affine_;
  SamePlaces places_;
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
  return std::make_unique<QuantizeKernel>(request.inputs[0], *parameters, type);
}

std::unique_ptr<Kernel> make_dequantize(const KernelRequest& request) {
  const auto parameters = affine(request, 1);
  if (!parameters || !is_eight_bit(request.inputs[0].dtype) ||
      attr_int(request.node, "output_dtype", 0))
    return nullptr;
  return std::make_unique<DequantizeKernel>(request.inputs[0], *parameters);
}

}  // namespace qtool::integer
