// Where: an element of X or of Y as the condition says, with broadcasting of all three.
#include "ops/elementwise.hpp"

namespace qtool {
namespace {

// Elements are only moved, so their width alone matters.
struct Wide {
  uint64_t low, high;
};

// One run; with steps known to the compiler it becomes vectors.
template <typename T>
void choose_run(T* out, const bool* condition, const T* x, const T* y, int64_t count,
                const std::array<int64_t, 4>& step) {
  const auto run = [&](auto x_step, auto y_step) {
    for (int64_t i = 0; i < count; ++i) {
      const T a = x[i * x_step], b = y[i * y_step];
      if constexpr (std::is_unsigned_v<T>) {  // no jumps, which random conditions make slow
        const auto mask = static_cast<T>(-static_cast<T>(condition[i]));
        out[i] = static_cast<T>((a & mask) | (b & ~mask));
      } else {
        out[i] = condition[i] ? a : b;
      }
    }
  };
  constexpr std::integral_constant<int64_t, 0> kOne;
  constexpr std::integral_constant<int64_t, 1> kNext;
  if (step[1] == 0) {
    const T* from = *condition ? x : y;
    const int64_t by = *condition ? step[2] : step[3];
    for (int64_t i = 0; i < count; ++i) out[i] = from[i * by];
  } else if (step[1] != 1 || step[2] > 1 || step[3] > 1) {
    for (int64_t i = 0; i < count; ++i)
      out[i] = condition[i * step[1]] ? x[i * step[2]] : y[i * step[3]];
  } else if (step[2] == 1) {
    step[3] == 1 ? run(kNext, kNext) : run(kNext, kOne);
  } else {
    step[3] == 1 ? run(kOne, kNext) : run(kOne, kOne);
  }
}

template <typename T>
void choose(const LoopNest<4>& nest, T* out, const bool* condition, const T* x, const T* y) {
  for_each_run(nest, [&](const auto& at, int64_t count, const auto& step) {
    choose_run(out + at[0], condition + at[1], x + at[2], y + at[3], count, step);
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
