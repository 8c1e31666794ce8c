// QLinearAdd (com.microsoft): a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point.
#include "exec/integer/kernels.hpp"
#include "exec/integer/loops.hpp"

namespace qtool::integer {
namespace {

class AddKernel : public Kernel {
 public:
  AddKernel(float scale_a, float scale_b, float offset, CodeRange range)
      : scale_a_(scale_a), scale_b_(scale_b), offset_(offset), range_(range) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Array a = std::move(inputs[0]), b = std::move(inputs[3]);
    const bool same =
        (!a.layout && !b.layout) || (a.layout && b.layout && a.layout->equals(*b.layout));
    if (!same) {
      a = Array(a.plain());
      b = Array(b.plain());
    }
    const int64_t count = a.tensor.size();
    Array y(a.dtype, a.shape, Tensor::uninitialized(a.tensor.dtype(), a.tensor.shape()), a.layout);
    add(a.tensor.raw(), b.tensor.raw(), y.tensor.mutable_raw(), a.dtype, count, scale_a_, scale_b_,
        offset_, range_);
    outputs[0] = std::move(y);
  }

  std::string name() const override { return "integer:add"; }

 private:
  float scale_a_, scale_b_, offset_;
  CodeRange range_;
};

}  // namespace

std::unique_ptr<Kernel> make_add(const KernelRequest& request) {
  const auto a = affine(request, 1), b = affine(request, 4), y = affine(request, 6);
  const DType type = request.inputs[0].dtype;
  if (!a || !b || !y || !is_eight_bit(type) || request.inputs[3].dtype != type ||
      request.inputs[7].dtype != type)
    return nullptr;
  if (request.inputs[0].shape != request.inputs[3].shape) return nullptr;
  const float scale_a = a->scale / y->scale, scale_b = b->scale / y->scale;
  const float offset = sum_offset(*a, *b, *y);
  const CodeRange range{
      y->zero_point, static_cast<int32_t>(attr_int(request.node, "code_min", lowest_code(type))),
      static_cast<int32_t>(attr_int(request.node, "code_max", highest_code(type)))};
  return std::make_unique<AddKernel>(scale_a, scale_b, offset, range);
}

}  // namespace qtool::integer
