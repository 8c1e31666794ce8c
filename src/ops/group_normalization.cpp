// InstanceNormalization and GroupNormalization: over the elements of a group of channels of one
// sample.
#include <cmath>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

struct Groups {
  int64_t count;       // groups a sample
  int64_t channels;    // channels a sample
  int64_t parameters;  // scales a sample: one a channel, or one a group
};

template <typename T>
Tensor normalize(const Call& call, const Groups& g) {
  const Tensor& x = call.in(0);
  for (size_t i : {1, 2}) {
    require(call.in(i).shape() == Shape{g.parameters}, call, "input ", i, " is ",
            shape_text(call.in(i).shape()), ", expected [", g.parameters, "]");
  }
  const auto scale = input_data<T>(call, 1), bias = input_data<T>(call, 2);
  const double epsilon = call.real("epsilon", 1e-5f);
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  if (out.size() == 0) return out;
  const int64_t area = x.size() / (x.dim(0) * g.channels), length = g.channels / g.count * area;
  const T* in = x.data<T>().data();
  T* y = out.mutable_data<T>().data();
  for (int64_t o = 0; o < x.dim(0) * g.count; ++o, in += length) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < length; ++i) sum += in[i];
    const double mean = sum / static_cast<double>(length);
    for (int64_t i = 0; i < length; ++i) squares += (in[i] - mean) * (in[i] - mean);
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(length) + epsilon);
    for (int64_t i = 0; i < length; ++i) {
      const int64_t channel = o % g.count * (g.channels / g.count) + i / area;
      const auto p = static_cast<size_t>(channel * g.parameters / g.channels);
      *y++ = static_cast<T>((in[i] - mean) * inverse * scale[p] + bias[p]);
    }
  }
  return out;
}

std::vector<Tensor> eval_instance(const Call& call) {
  const Tensor& x = call.in(0);
  require(x.rank() >= 3, call, "input ", shape_text(x.shape()), " has no spatial dimension");
  const Groups groups{x.dim(1), x.dim(1), x.dim(1)};
  return {with_float(call, x.dtype(),
                     [&](auto zero) { return normalize<decltype(zero)>(call, groups); })};
}

// Scale and bias are one a group in opset 18, one a channel since 21.
std::vector<Tensor> eval_group(const Call& call) {
  const Tensor& x = call.in(0);
  require(x.rank() >= 2, call, "input ", shape_text(x.shape()), " has no channels");
  const int64_t count = call.integer("num_groups", 0);
  require(count >= 1 && x.dim(1) % count == 0, call, x.dim(1), " channels in ", count, " groups");
  const Groups groups{count, x.dim(1), call.opset < 21 ? count : x.dim(1)};
  return {with_float(call, x.dtype(),
                     [&](auto zero) { return normalize<decltype(zero)>(call, groups); })};
}

constexpr QuantRule kStatistics{.reason = "needs the statistics of every sample in float"};

}  // namespace

extern const OpDef kInstanceNormalization{
    .type = "InstanceNormalization", .eval = half_as_float<eval_instance>, .quant = kStatistics};
extern const OpDef kGroupNormalization{.type = "GroupNormalization",
                                       .since = 18,
                                       .eval = half_as_float<eval_group>,
                                       .quant = kStatistics};

}  // namespace qtool
