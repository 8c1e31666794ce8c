// BatchNormalization: per channel, with given statistics (inference) or the batch's own (training).
#include <cmath>

#include "ops/dispatch.hpp"
#include "ops/lanes.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

struct Statistics {
  std::vector<double> mean, variance;
};

std::vector<double> channel_values(const Call& call, size_t i, int64_t channels) {
  const Tensor& t = call.in(i);
  if (!is_real(t.dtype())) unsupported_type(call, t.dtype());
  require(t.shape() == Shape{channels}, call, "input ", i, " is ", shape_text(t.shape()), " for ",
          channels, " channels");
  const Tensor wide = cast(t, DType::kDouble);
  const auto data = wide.data<double>();
  return {data.begin(), data.end()};
}

template <typename T>
Statistics batch_statistics(const Tensor& x, const AxisView& view) {
  const auto channels = static_cast<size_t>(view.length);
  const double count = static_cast<double>(view.outer * view.inner);
  Statistics s{std::vector<double>(channels, 0), std::vector<double>(channels, 0)};
  const T* in = x.data<T>().data();
  const auto sum = [&](auto&& term, std::vector<double>& into) {
    const T* p = in;
    for (int64_t o = 0; o < view.outer; ++o) {
      for (size_t c = 0; c < channels; ++c) {
        for (int64_t i = 0; i < view.inner; ++i) into[c] += term(c, static_cast<double>(*p++));
      }
    }
    for (double& v : into) v /= count;
  };
  sum([](size_t, double v) { return v; }, s.mean);
  sum([&](size_t c, double v) { return (v - s.mean[c]) * (v - s.mean[c]); }, s.variance);
  return s;
}

// y = (x − mean) · factor + bias of every channel.
template <typename T>
struct ChannelMap {
  std::vector<T> mean, factor, bias;
};

template <typename T>
QTOOL_INLINE void apply(const ChannelMap<T>& map, const T* x, AxisView view, T* y) {
  const T *mean = map.mean.data(), *factor = map.factor.data(), *bias = map.bias.data();
  for (int64_t o = 0; o < view.outer; ++o) {
    if (view.inner == 1) {
      for (int64_t c = 0; c < view.length; ++c) y[c] = (x[c] - mean[c]) * factor[c] + bias[c];
      x += view.length;
      y += view.length;
      continue;
    }
    for (int64_t c = 0; c < view.length; ++c, x += view.inner, y += view.inner) {
      const T m = mean[c], f = factor[c], b = bias[c];
      for (int64_t i = 0; i < view.inner; ++i) y[i] = (x[i] - m) * f + b;
    }
  }
}
void apply_map(const ChannelMap<double>& map, const double* x, AxisView view, double* y) {
  apply(map, x, view, y);
}
QTOOL_CLONES void apply_map(const ChannelMap<float>& map, const float* x, AxisView view, float* y) {
  apply(map, x, view, y);
}

template <typename T>
Tensor normalize(const Tensor& x, const AxisView& view, const Statistics& s,
                 const std::vector<double>& scale, const std::vector<double>& bias,
                 double epsilon) {
  ChannelMap<T> map{{s.mean.begin(), s.mean.end()}, {}, {bias.begin(), bias.end()}};
  for (size_t c = 0; c < scale.size(); ++c)
    map.factor.push_back(static_cast<T>(scale[c] / std::sqrt(s.variance[c] + epsilon)));
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  apply_map(map, x.data<T>().data(), view, out.mutable_data<T>().data());
  return out;
}

// running · momentum + current · (1 − momentum), in the type of the statistics that were given.
Tensor blend(const std::vector<double>& running, const std::vector<double>& current,
             double momentum, DType type) {
  std::vector<double> out(running.size());
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = running[i] * momentum + current[i] * (1 - momentum);
  return cast(Tensor::of<double>({static_cast<int64_t>(out.size())}, out), type);
}

void refuse_old_forms(const Call& call) {
  refuse(call.opset < 9 && call.integer("spatial", 1) == 0, call, "spatial=0 is not supported");
  refuse(call.opset < 7 && call.integer("is_test", 0) == 0, call,
         "training (is_test=0) is not supported");
  refuse(call.opset < 14 && call.outputs() > 1, call,
         "training outputs before opset 14 are not supported");
}

std::vector<Tensor> eval_batch_normalization(const Call& call) {
  refuse_old_forms(call);
  const DType type = call.in(0).dtype();
  if (!is_real(type)) unsupported_type(call, type);
  const Tensor x = is_half(type) ? cast(call.in(0), DType::kFloat) : call.in(0);
  require(x.rank() >= 1, call, "a scalar has no channels");
  const AxisView view = x.rank() == 1 ? AxisView{x.dim(0), 1, 1} : view_axis(x.shape(), 1);
  const auto scale = channel_values(call, 1, view.length),
             bias = channel_values(call, 2, view.length);
  const Statistics given{channel_values(call, 3, view.length),
                         channel_values(call, 4, view.length)};
  const double epsilon = call.real("epsilon", 1e-5f);
  const bool training = call.opset >= 14 && call.integer("training_mode", 0) != 0;
  return with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Statistics s = training ? batch_statistics<T>(x, view) : given;
    std::vector<Tensor> out{cast(normalize<T>(x, view, s, scale, bias, epsilon), type)};
    if (training) {
      const double momentum = call.real("momentum", 0.9f);
      out.push_back(blend(given.mean, s.mean, momentum, call.in(3).dtype()));
      out.push_back(blend(given.variance, s.variance, momentum, call.in(4).dtype()));
    }
    return out;
  });
}

}  // namespace

extern const OpDef kBatchNormalization{
    .type = "BatchNormalization",
    .eval = eval_batch_normalization,
    .quant = {.reason = "not folded into a convolution, and no integer kernel of its own"}};

}  // namespace qtool
