// QLinearMul, and QLinearAdd of different shapes (com.microsoft): a, a_scale, a_zero_point, b, b_scale,
// b_zero_point, y_scale, y_zero_point. Operands broadcast.
#include "exec/integer/kernels.hpp"
#include "exec/integer/loops.hpp"
#include "ops/loops.hpp"

namespace qtool::integer {
namespace {

enum class Operation { kAdd, kMul };

int32_t code_at(const Tensor& codes, int64_t i) {
  const auto* bytes = static_cast<const uint8_t*>(codes.raw()) + i;
  return codes.dtype() == DType::kUint8 ? *bytes : static_cast<int8_t>(*bytes);
}

class BroadcastKernel : public Kernel {
 public:
  BroadcastKernel(Operation operation, Affine a, Affine b, Affine y, CodeRange range)
      : operation_(operation), a_(a), b_(b), y_(y), range_(range) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor a = inputs[0].plain(), b = inputs[3].plain();
    const Shape shape = broadcast(a.shape(), b.shape());
    Tensor y = Tensor::uninitialized(a.dtype(), shape);
    auto* out = static_cast<uint8_t*>(y.mutable_raw());
    const auto *left = static_cast<const uint8_t*>(a.raw()),
               *right = static_cast<const uint8_t*>(b.raw());
    const LoopNest<2> nest{
        shape, {broadcast_strides(a.shape(), shape), broadcast_strides(b.shape(), shape)}};
    for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
      if (step[0] != 0 && step[1] != 0) {
        both(left + at[0], right + at[1], out, a.dtype(), count);
      } else if (step[1] == 0) {
        one(left + at[0], a_, code_at(b, at[1]), b_, out, a.dtype(), count);
      } else {
        one(right + at[1], b_, code_at(a, at[0]), a_, out, a.dtype(), count);
      }
      out += count;
    });
    outputs[0] = Array(std::move(y));
  }

  std::string name() const override {
    return operation_ == Operation::kAdd ? "integer:add" : "integer:mul";
  }

 private:
  void both(const void* a, const void* b, void* y, DType type, int64_t count) const {
    if (operation_ == Operation::kMul) {
      multiply(a, b, y, type, count, {a_.zero_point, b_.zero_point, a_.scale * b_.scale / y_.scale},
               range_);
      return;
    }
    const float scale_a = a_.scale / y_.scale, scale_b = b_.scale / y_.scale;
    const float offset = sum_offset(a_, b_, y_);
    add(a, b, y, type, count, scale_a, scale_b, offset, range_);
  }

  // A run of codes against one code.
  void one(const void* x, Affine from, int32_t code, Affine other, void* y, DType type,
           int64_t count) const {
    const float real = static_cast<float>(code - other.zero_point) * other.scale;
    const float scale =
        operation_ == Operation::kMul ? from.scale * real / y_.scale : from.scale / y_.scale;
    float offset = static_cast<float>(y_.zero_point) - scale * static_cast<float>(from.zero_point);
    if (operation_ == Operation::kAdd) offset += real / y_.scale;
    rescale(x, y, type, count, scale, offset, range_);
  }

  Operation operation_;
  Affine a_, b_, y_;
  CodeRange range_;
};

std::unique_ptr<Kernel> make(const KernelRequest& request, Operation operation) {
  const auto a = affine(request, 1), b = affine(request, 4), y = affine(request, 6);
  const DType type = request.inputs[0].dtype;
  if (!a || !b || !y || !is_eight_bit(type) || request.inputs[3].dtype != type ||
      request.inputs[7].dtype != type)
    return nullptr;
  const CodeRange range{
      y->zero_point, static_cast<int32_t>(attr_int(request.node, "code_min", lowest_code(type))),
      static_cast<int32_t>(attr_int(request.node, "code_max", highest_code(type)))};
  return std::make_unique<BroadcastKernel>(operation, *a, *b, *y, range);
}

}  // namespace

std::unique_ptr<Kernel> make_broadcast_add(const KernelRequest& request) {
  return make(request, Operation::kAdd);
}

std::unique_ptr<Kernel> make_mul(const KernelRequest& request) {
  return make(request, Operation::kMul);
}

}  // namespace qtool::integer
