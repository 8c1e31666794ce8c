#include "ops/integer_codes.hpp"

#include "ops/loops.hpp"

namespace qtool {
namespace {

template <typename T>
std::vector<int32_t> centered(const Call& call, const Tensor& codes, const Tensor& zero,
                              const Shape& shape) {
  std::vector<int32_t> out(static_cast<size_t>(codes.size()));
  const T *x = codes.data<T>().data(), *z = zero.data<T>().data();
  require(broadcast(shape, codes.shape()) == codes.shape(), call, "zero point ",
          shape_text(zero.shape()), " for ", shape_text(codes.shape()));
  const LoopNest<2> nest{codes.shape(),
                         {strides_of(codes.shape()), broadcast_strides(shape, codes.shape())}};
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    for (int64_t i = 0; i < count; ++i) {
      out[static_cast<size_t>(at[0] + i)] = int32_t{x[at[0] + i]} - int32_t{z[at[1] + i * step[1]]};
    }
  });
  return out;
}

}  // namespace

std::vector<int32_t> centered_codes(const Call& call, size_t codes, size_t zero_point,
                                    int64_t axis) {
  const Tensor& x = call.in(codes);
  if (x.dtype() != DType::kInt8 && x.dtype() != DType::kUint8) unsupported_type(call, x.dtype());
  const Tensor zero = call.has(zero_point) ? call.in(zero_point) : Tensor(x.dtype(), {});
  require(zero.dtype() == x.dtype(), call, "zero point and codes have different types");
  Shape shape = zero.shape();
  if (zero.size() == 1) shape.clear();
  if (shape.size() == 1) shape.resize(static_cast<size_t>(-axis), 1);
  return x.dtype() == DType::kInt8 ? centered<int8_t>(call, x, zero, shape)
                                   : centered<uint8_t>(call, x, zero, shape);
}

std::vector<float> scales(const Call& call, size_t i, int64_t count) {
  const Tensor& t = call.in(i);
  if (t.dtype() != DType::kFloat && !is_half(t.dtype())) unsupported_type(call, t.dtype());
  refuse(t.size() != 1 && t.shape() != Shape{count}, call, "scales of shape ",
         shape_text(t.shape()), " are not supported");
  const Tensor wide = cast(t, DType::kFloat);
  std::vector<float> out(static_cast<size_t>(count), wide.data<float>()[0]);
  if (t.size() != 1) std::ranges::copy(wide.data<float>(), out.begin());
  return out;
}

}  // namespace qtool
