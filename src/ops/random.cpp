// Random operators. Their seed is the attribute, else the node's name, so that a run can be repeated.
#include <algorithm>
#include <cmath>

#include "ops/movable.hpp"

namespace qtool {
namespace {

Rng generator(const Call& call) {
  if (!find_attribute(call.node, "seed")) return Rng(fnv1a(call.node.name));
  const float seed = call.real("seed", 0);
  return Rng(fnv1a({reinterpret_cast<const char*>(&seed), sizeof seed}));
}

DType output_type(const Call& call, DType fallback) {
  return checked_dtype(call.integer("dtype", static_cast<int64_t>(fallback)), call);
}

// A tensor of draw() numbers, made as double so that every type takes the same path.
template <typename Draw>
Tensor drawn(const Call& call, DType type, const Shape& shape, Draw draw) {
  if (!is_real(type)) unsupported_type(call, type);
  Tensor out(DType::kDouble, shape);
  for (double& v : out.mutable_data<double>()) v = draw();
  return cast(out, type);
}

Tensor uniform(const Call& call, DType type, const Shape& shape) {
  Rng rng = generator(call);
  const double low = call.real("low", 0), high = call.real("high", 1);
  return drawn(call, type, shape, [&] { return low + (high - low) * rng.uniform(); });
}

Tensor normal(const Call& call, DType type, const Shape& shape) {
  Rng rng = generator(call);
  const double mean = call.real("mean", 0), scale = call.real("scale", 1);
  return drawn(call, type, shape, [&] { return mean + scale * rng.normal(); });
}

template <auto make>
std::vector<Tensor> eval_random(const Call& call) {
  require(find_attribute(call.node, "shape"), call, "no shape is given");
  return {make(call, output_type(call, DType::kFloat), call.integers("shape"))};
}

template <auto make>
std::vector<Tensor> eval_random_like(const Call& call) {
  return {make(call, output_type(call, call.in(0).dtype()), call.in(0).shape())};
}

std::vector<Tensor> eval_bernoulli(const Call& call) {
  const Tensor& input = call.in(0);
  const DType type = output_type(call, input.dtype());
  if (!is_real(input.dtype())) unsupported_type(call, input.dtype());
  const Tensor probability = cast(input, DType::kDouble);
  Rng rng = generator(call);
  Tensor out(DType::kUint8, input.shape());
  const auto y = out.mutable_data<uint8_t>();
  const auto p = probability.data<double>();
  for (size_t i = 0; i < y.size(); ++i) y[i] = rng.uniform() < p[i] ? 1 : 0;
  return {cast(out, type)};
}

std::vector<Tensor> eval_multinomial(const Call& call) {
  const Tensor& input = call.in(0);
  const DType type = output_type(call, DType::kInt32);
  if (!is_real(input.dtype())) unsupported_type(call, input.dtype());
  if (type != DType::kInt32 && type != DType::kInt64) unsupported_type(call, type);
  const int64_t samples = call.integer("sample_size", 1);
  require(input.rank() == 2 && input.dim(1) > 0 && samples >= 0, call, samples, " samples of ",
          shape_text(input.shape()));
  const Tensor logits = cast(input, DType::kDouble);
  const int64_t classes = input.dim(1);
  Rng rng = generator(call);
  Tensor out(DType::kInt64, {input.dim(0), samples});
  int64_t* y = out.mutable_data<int64_t>().data();
  std::vector<double> sums(static_cast<size_t>(classes));
  for (int64_t b = 0; b < input.dim(0); ++b) {
    const double* row = logits.data<double>().data() + b * classes;
    const double peak = *std::max_element(row, row + classes);
    double total = 0;
    for (int64_t c = 0; c < classes; ++c) {
      total += std::exp(row[c] - peak);
      sums[static_cast<size_t>(c)] = total;
    }
    require(std::isfinite(total), call, "log-probabilities are not numbers");
    for (int64_t s = 0; s < samples; ++s) {
      const auto hit = std::upper_bound(sums.begin(), sums.end() - 1, rng.uniform() * total);
      *y++ = hit - sums.begin();
    }
  }
  return {cast(out, type)};
}

constexpr OpDef random_op(std::string_view type, EvalFunction eval) {
  return {.type = type,
          .eval = eval,
          .quant = {.reason = "the output is random"},
          .deterministic = false};
}

}  // namespace

extern const OpDef kRandomUniform = random_op("RandomUniform", eval_random<uniform>);
extern const OpDef kRandomNormal = random_op("RandomNormal", eval_random<normal>);
extern const OpDef kRandomUniformLike = random_op("RandomUniformLike", eval_random_like<uniform>);
extern const OpDef kRandomNormalLike = random_op("RandomNormalLike", eval_random_like<normal>);
extern const OpDef kBernoulli = random_op("Bernoulli", eval_bernoulli);
extern const OpDef kMultinomial = random_op("Multinomial", eval_multinomial);

}  // namespace qtool
