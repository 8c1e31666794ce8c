// LRN: every element divided by a power of the energy in the channels around it.
#include <algorithm>
#include <cmath>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_lrn(const Call& call) {
  const Tensor& x = call.in(0);
  require(x.rank() >= 2, call, "input ", shape_text(x.shape()), " has no channels");
  const AxisView view = view_axis(x.shape(), 1);
  const int64_t size = call.integer("size", 0);
  require(size >= 1, call, "size is ", size);
  const double alpha = call.real("alpha", 1e-4f), beta = call.real("beta", 0.75f),
               bias = call.real("bias", 1);
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    for (int64_t o = 0; o < view.outer; ++o, in += view.length * view.inner) {
      for (int64_t c = 0; c < view.length; ++c) {
        const int64_t first = std::max<int64_t>(0, c - (size - 1) / 2);
        const int64_t last = std::min(view.length - 1, c + size / 2);
        for (int64_t i = 0; i < view.inner; ++i) {
          double sum = 0;
          for (int64_t k = first; k <= last; ++k) {
            const double v = in[k * view.inner + i];
            sum += v * v;
          }
          const double energy = bias + alpha / static_cast<double>(size) * sum;
          *y++ = static_cast<T>(in[c * view.inner + i] / std::pow(energy, beta));
        }
      }
    }
    return out;
  })};
}

}  // namespace

extern const OpDef kLRN{
    .type = "LRN",
    .eval = half_as_float<eval_lrn>,
    .quant = {.reason = "a power over neighbouring channels, no integer kernel"}};

}  // namespace qtool
