// LayerNormalization and RMSNormalization: over the trailing dimensions from `axis` on.
#include <cmath>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

// Input i broadcast to the normalised dimensions, as double; empty when absent.
std::vector<double> parameters(const Call& call, size_t i, const Shape& inner) {
  if (!call.has(i)) return {};
  const Tensor& t = call.in(i);
  if (!is_real(t.dtype())) unsupported_type(call, t.dtype());
  refuse(t.rank() > static_cast<int64_t>(inner.size()), call, "a scale or bias of shape ",
         shape_text(t.shape()), " that varies over dimensions before the axis is not supported");
  require(broadcast(t.shape(), inner) == inner, call, "scale or bias ", shape_text(t.shape()),
          " does not broadcast to ", shape_text(inner));
  const Tensor wide = cast(t, DType::kDouble);
  const double* from = wide.data<double>().data();
  std::vector<double> out(static_cast<size_t>(element_count(inner)));
  const LoopNest<2> nest{inner, {strides_of(inner), broadcast_strides(t.shape(), inner)}};
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    for (int64_t k = 0; k < count; ++k)
      out[static_cast<size_t>(at[0] + k)] = from[at[1] + k * step[1]];
  });
  return out;
}

struct Moments {
  double mean, inverse_deviation;
};

template <typename T>
Moments moments(std::span<const T> x, bool centered, double epsilon) {
  const double count = static_cast<double>(x.size());
  double sum = 0, squares = 0;
  if (centered) {
    for (T v : x) sum += v;
  }
  const double mean = sum / count;
  for (T v : x) squares += (v - mean) * (v - mean);
  return {mean, 1 / std::sqrt(squares / count + epsilon)};
}

// centered: subtract the mean (LayerNormalization); otherwise divide by the root mean square alone.
template <bool centered>
std::vector<Tensor> eval_normalization(const Call& call) {
  const DType type = call.in(0).dtype();
  if (!is_real(type)) unsupported_type(call, type);
  const Tensor x = is_half(type) ? cast(call.in(0), DType::kFloat) : call.in(0);
  const int64_t axis = normalize_axis(call.integer("axis", -1), x.rank(), call.node);
  const Shape inner(x.shape().begin() + axis, x.shape().end());
  Shape kept = x.shape();
  std::fill(kept.begin() + axis, kept.end(), 1);
  call.in(1);
  const auto scale = parameters(call, 1, inner), bias = parameters(call, 2, inner);
  const double epsilon = call.real("epsilon", 1e-5f);
  const auto count = static_cast<size_t>(element_count(kept)),
             length = static_cast<size_t>(element_count(inner));
  std::vector<double> means(count), inverses(count);
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto in = x.data<T>();
    T* y = out.mutable_data<T>().data();
    for (size_t o = 0; o < count; ++o) {
      const auto row = in.subspan(o * length, length);
      const Moments m = moments(row, centered, epsilon);
      means[o] = m.mean, inverses[o] = m.inverse_deviation;
      for (size_t i = 0; i < length; ++i) {
        const double v = (row[i] - m.mean) * m.inverse_deviation * scale[i];
        *y++ = static_cast<T>(bias.empty() ? v : v + bias[i]);
      }
    }
  });
  std::vector<Tensor> results{cast(out, type)};
  if (!centered || call.outputs() < 2) return results;
  const int64_t stash = call.integer("stash_type", 1);
  refuse(stash != 1 && stash != 16, call, "stash_type ", stash, " is not supported");
  for (const auto* values : {&means, &inverses}) {
    results.push_back(cast(Tensor::of<double>(kept, *values), static_cast<DType>(stash)));
  }
  return results;
}

constexpr QuantRule kStatistics{.reason = "needs the statistics of every sample in float"};

}  // namespace

// ONNX has it since opset 17; onnxruntime's optimizers write it into older models, too.
extern const OpDef kLayerNormalization{
    .type = "LayerNormalization", .eval = eval_normalization<true>, .quant = kStatistics};
extern const OpDef kRMSNormalization{.type = "RMSNormalization",
                                     .since = 23,
                                     .eval = eval_normalization<false>,
                                     .quant = kStatistics};

}  // namespace qtool
