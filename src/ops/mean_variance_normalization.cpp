// MeanVarianceNormalization: zero mean and unit variance over `axes`. ONNX's function body adds
// 1e-9 to the deviation.
#include <cmath>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

struct Sums {
  double mean = 0, squares = 0;
};

std::vector<Tensor> eval_mean_variance(const Call& call) {
  const Tensor& x = call.in(0);
  Shape kept = x.shape();
  int64_t count = 1;
  for (int64_t a : normalize_axes(call.integers("axes", {0, 2, 3}), x.rank(), call.node)) {
    count *= x.dim(a);
    kept[static_cast<size_t>(a)] = 1;
  }
  const LoopNest<2> nest = simplified(
      LoopNest<2>{x.shape(), {strides_of(x.shape()), broadcast_strides(kept, x.shape())}});
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::vector<Sums> sums(static_cast<size_t>(element_count(kept)));
    Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    const auto for_each = [&](auto&& fn) {
      for_each_run(nest, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i)
          fn(at[0] + i, sums[static_cast<size_t>(at[1] + i * step[1])]);
      });
    };
    for_each([&](int64_t i, Sums& s) { s.mean += in[i] / static_cast<double>(count); });
    for_each([&](int64_t i, Sums& s) { s.squares += (in[i] - s.mean) * (in[i] - s.mean); });
    for_each([&](int64_t i, Sums& s) {
      y[i] = static_cast<T>((in[i] - s.mean) /
                            (std::sqrt(s.squares / static_cast<double>(count)) + 1e-9));
    });
    return out;
  })};
}

}  // namespace

extern const OpDef kMeanVarianceNormalization{
    .type = "MeanVarianceNormalization",
    .since = 9,
    .eval = half_as_float<eval_mean_variance>,
    .quant = {.reason = "needs the statistics of every sample in float"}};

}  // namespace qtool
