// QLinearConcat (com.microsoft): y_scale, y_zero_point, then (x, x_scale, x_zero_point) for every input.
#include <array>
#include <cstring>

#include "exec/integer/kernels.hpp"
#include "exec/integer/loops.hpp"
#include "qtool/ops.hpp"

namespace qtool::integer {
namespace {

using Table = std::array<uint8_t, 256>;

// The result's code for every code of an input, by the bit pattern of the code.
Table requantization(const Affine& from, const Affine& to, DType type) {
  std::array<uint8_t, 256> codes, result;
  std::array<float, 256> values;
  for (int i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i);
  dequantize(codes.data(), type, values.data(), 256, from.scale, from.zero_point);
  quantize(values.data(), result.data(), type, 256, to.scale,
           {to.zero_point, lowest_code(type), highest_code(type)});
  return result;
}

class ConcatKernel : public Kernel {
 public:
  ConcatKernel(std::vector<Table> tables, size_t axis, DType type, Shape output)
      : tables_(std::move(tables)), axis_(axis), type_(type), output_(std::move(output)) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Tensor y = Tensor::uninitialized(type_, output_);
    uint8_t* out = static_cast<uint8_t*>(y.mutable_raw());
    int64_t outer = 1, row = 1, inner = 1;
    for (size_t i = 0; i < axis_; ++i) outer *= output_[i];
    for (size_t i = axis_; i < output_.size(); ++i) row *= output_[i];
    for (size_t i = axis_ + 1; i < output_.size(); ++i) inner *= output_[i];
    int64_t at = 0;
    for (size_t k = 0; k < tables_.size(); ++k) {
      const Tensor x = inputs[2 + 3 * k].plain();
      const int64_t run = x.shape()[axis_] * inner;
      const uint8_t* in = static_cast<const uint8_t*>(x.raw());
      for (int64_t o = 0; o < outer; ++o)
        lookup(in + o * run, out + o * row + at, run, tables_[k].data());
      at += run;
    }
    outputs[0] = Array(std::move(y));
  }

  std::string name() const override { return "integer:concat"; }

 private:
  std::vector<Table> tables_;
  size_t axis_;
  DType type_;
  Shape output_;
};

}  // namespace

std::unique_ptr<Kernel> make_concat(const KernelRequest& request) {
  const auto y = affine(request, 0);
  if (!y || request.inputs.size() < 5 || !is_eight_bit(request.inputs[1].dtype)) return nullptr;
  const DType type = request.inputs[1].dtype;
  Shape output = request.inputs[2].shape;
  const auto axis = static_cast<size_t>(normalize_axis(
      attr_int(request.node, "axis", 0), static_cast<int64_t>(output.size()), request.node));
  output[axis] = 0;
  std::vector<Table> tables;
  for (size_t i = 2; i + 2 < request.inputs.size(); i += 3) {
    const auto x = affine(request, i + 1);
    const InputInfo& input = request.inputs[i];
    if (!x || input.dtype != type || input.shape.size() != output.size()) return nullptr;
    for (size_t d = 0; d < output.size(); ++d)
      if (d != axis && input.shape[d] != output[d]) return nullptr;
    output[axis] += input.shape[axis];
    tables.push_back(requantization(*x, *y, type));
  }
  return std::make_unique<ConcatKernel>(std::move(tables), axis, type, std::move(output));
}

}  // namespace qtool::integer
