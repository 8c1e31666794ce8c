// Operators of two inputs with NumPy broadcasting: z[i] = fn(a[i], b[i]).
#pragma once

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {

// The call's first two inputs; before opset 7 the second is reshaped as its attributes `broadcast`
// and `axis` say, so that NumPy's rules apply.
std::pair<Tensor, Tensor> broadcast_inputs(const Call& call);

// fn over two tensors of elements A and B, stored as R. The three loops that matter are kept simple
// enough to be vectorised.
template <typename A, typename B, typename R, typename Fn>
Tensor zip(const Tensor& a, const Tensor& b, Fn fn) {
  const Shape shape = broadcast(a.shape(), b.shape());
  Tensor out = Tensor::uninitialized(dtype_of<R>(), shape);
  if (out.size() == 0) return out;
  const A* pa = a.data<A>().data();
  const B* pb = b.data<B>().data();
  R* po = out.mutable_data<R>().data();
  const LoopNest<3> nest{shape,
                         {strides_of(shape), broadcast_strides(a.shape(), shape),
                          broadcast_strides(b.shape(), shape)}};
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    const A* x = pa + at[1];
    const B* y = pb + at[2];
    R* z = po + at[0];
    if (step[1] == 1 && step[2] == 1) {
      for (int64_t i = 0; i < count; ++i) z[i] = static_cast<R>(fn(x[i], y[i]));
    } else if (step[1] == 1 && step[2] == 0) {
      const B right = *y;
      for (int64_t i = 0; i < count; ++i) z[i] = static_cast<R>(fn(x[i], right));
    } else {
      for (int64_t i = 0; i < count; ++i) z[i] = static_cast<R>(fn(x[i * step[1]], y[i * step[2]]));
    }
  });
  return out;
}

inline void require_same_type(const Call& call, const Tensor& a, const Tensor& b) {
  require(a.dtype() == b.dtype(), call, "inputs are ", dtype_name(a.dtype()), " and ",
          dtype_name(b.dtype()));
}

}  // namespace qtool
