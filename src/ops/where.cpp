// Where: an element of X or of Y as the condition says, with broadcasting of all three.
#include "ops/elementwise.hpp"

namespace qtool {
namespace {

// Elements are only moved, so their width alone matters.
struct Wide {
  uint64_t low, high;
};

template <typename T>
void choose(const LoopNest<4>& nest, T* out, const bool* condition, const T* x, const T* y) {
  for_each_run(nest, [&](const auto& at, int64_t count, const auto& step) {
    for (int64_t i = 0; i < count; ++i) {
      out[at[0] + i] =
          condition[at[1] + i * step[1]] ? x[at[2] + i * step[2]] : y[at[3] + i * step[3]];
    }
  });
}

std::vector<Tensor> eval_where(const Call& call) {
  const bool* condition = input_data<bool>(call, 0).data();
  const Tensor &c = call.in(0), &x = call.in(1), &y = call.in(2);
  require_same_type(call, x, y);
  const Shape shape = broadcast(c.shape(), broadcast(x.shape(), y.shape()));
  const LoopNest<4> nest = simplified(
      LoopNest<4>{shape,
                  {strides_of(shape), broadcast_strides(c.shape(), shape),
                   broadcast_strides(x.shape(), shape), broadcast_strides(y.shape(), shape)}});
  if (x.dtype() == DType::kString) {
    std::vector<std::string> out(static_cast<size_t>(element_count(shape)));
    choose(nest, out.data(), condition, x.string_data().data(), y.string_data().data());
    return {Tensor::strings(shape, std::move(out))};
  }
  Tensor out = Tensor::uninitialized(x.dtype(), shape);
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    choose(nest, static_cast<T*>(out.mutable_raw()), condition, static_cast<const T*>(x.raw()),
           static_cast<const T*>(y.raw()));
  };
  switch (dtype_bits(x.dtype())) {
    case 8:
      run(uint8_t{});
      break;
    case 16:
      run(uint16_t{});
      break;
    case 32:
      run(uint32_t{});
      break;
    case 64:
      run(uint64_t{});
      break;
    case 128:
      run(Wide{});
      break;
    default:
      unsupported_type(call, x.dtype());
  }
  return {out};
}

}  // namespace

extern const OpDef kWhere{
    .type = "Where",
    .since = 9,
    .eval = eval_where,
    .quant = {.reason = "which input an element comes from depends on the data"}};

}  // namespace qtool
