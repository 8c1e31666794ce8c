// QMatMul (qtool) of two activations, or with a stack of constant matrices. oneDNN has no u8 × u8
// product; codes without their zero points are small integers, which floats multiply and add exactly
// while sums stay below 2^24 (256 products), and to seven digits beyond.
#include "exec/integer/kernels.hpp"
#include "exec/integer/loops.hpp"
#include "exec/onednn/common.hpp"
#include "exec/onednn/kernels.hpp"

namespace qtool::onednn {
namespace {

// Operands as in QGemm: a, a_scale, a_zero_point, b, b_scale, b_zero_point, (none), y_scale, y_zero_point.
constexpr size_t kRight = 3, kRightScale = 4, kResultScale = 7;

Tensor centered(const Tensor& codes, int32_t zero_point) {
  Tensor out = Tensor::uninitialized(DType::kFloat, codes.shape());
  integer::dequantize(codes.raw(), codes.dtype(), out.mutable_data<float>().data(), codes.size(),
                      1.f, zero_point);
  return out;
}

struct Result {
  DType type = DType::kFloat;
  float scale = 1;
  integer::CodeRange range{};
};

class QuantizedProductKernel : public Kernel {
 public:
  QuantizedProductKernel(const KernelRequest& request, int32_t left_zero, int32_t right_zero,
                         std::vector<float> scales, Result result)
      : left_zero_(left_zero),
        right_zero_(right_zero),
        scales_(std::move(scales)),
        result_(result) {
    if (request.constant(kRight)) right_ = centered(*request.constant(kRight), right_zero);
    product_.type = "MatMul";
    product_.inputs.assign(2, ValueId::kNone);
    const std::vector<InputInfo> infos = {
        {DType::kFloat, request.inputs[0].shape, nullptr, nullptr},
        {DType::kFloat, request.inputs[kRight].shape, nullptr,
         right_.defined() ? &right_ : nullptr}};
    matmul_ = make_matmul({product_, request.opset, infos});
  }

  bool usable() const { return matmul_ != nullptr; }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    std::array<Array, 2> operands = {
        Array(centered(inputs[0].plain(), left_zero_)),
        Array(right_.defined() ? right_ : centered(inputs[kRight].plain(), right_zero_))};
    std::array<Array, 1> results;
    matmul_->run(operands, results);
    Tensor real = std::move(results[0].tensor);
    scale(real);
    if (result_.type == DType::kFloat) {
      outputs[0] = Array(std::move(real));
      return;
    }
    Tensor codes = Tensor::uninitialized(result_.type, real.shape());
    integer::quantize(real.data<float>().data(), codes.mutable_raw(), result_.type, real.size(),
                      result_.scale, result_.range);
    outputs[0] = Array(std::move(codes));
  }

  std::string name() const override { return matmul_->name() + ":codes"; }

 private:
  void scale(Tensor& real) const {
    auto y = real.mutable_data<float>();
    const size_t columns = scales_.size();
    if (columns == 1) {
      for (float& v : y) v *= scales_[0];
      return;
    }
    for (size_t i = 0; i < y.size(); i += columns) {
      for (size_t j = 0; j < columns; ++j) y[i + j] *= scales_[j];
    }
  }

  int32_t left_zero_, right_zero_;
  std::vector<float> scales_;
  Result result_;
  Tensor right_;
  Node product_;
  std::unique_ptr<Kernel> matmul_;
};

}  // namespace

std::unique_ptr<Kernel> make_quantized_product(const KernelRequest& request) {
  const auto left = integer::affine(request, 1);
  const Tensor *scale = request.constant(kRightScale), *zero = request.constant(kRightScale + 1);
  if (!left || !scale || !zero || scale->dtype() != DType::kFloat || scale->size() == 0)
    return nullptr;
  if (!integer::is_eight_bit(request.inputs[0].dtype) ||
      !integer::is_eight_bit(request.inputs[kRight].dtype))
    return nullptr;
  const Shape& right = request.inputs[kRight].shape;
  if (right.empty() || (scale->size() != 1 && scale->size() != right.back())) return nullptr;
  for (int64_t i = 1; i < zero->size(); ++i)
    if (zero->integer(i) != zero->integer(0)) return nullptr;
  std::vector<float> scales;
  for (float s : scale->data<float>()) scales.push_back(left->scale * s);
  Result result;
  if (request.has(kResultScale)) {
    const auto y = integer::affine(request, kResultScale);
    result.type = request.inputs[kResultScale + 1].dtype;
    if (!y || !integer::is_eight_bit(result.type)) return nullptr;
    result.scale = y->scale;
    result.range = {
        y->zero_point,
        static_cast<int32_t>(attr_int(request.node, "code_min", integer::lowest_code(result.type))),
        static_cast<int32_t>(
            attr_int(request.node, "code_max", integer::highest_code(result.type)))};
  }
  auto kernel = std::make_unique<QuantizedProductKernel>(
      request, left->zero_point, static_cast<int32_t>(zero->integer(0)), std::move(scales), result);
  if (!kernel->usable()) return nullptr;
  return kernel;
}

}  // namespace qtool::onednn
