// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
#include <algorithm>
#include <cmath>

#include "ops/movable.hpp"

namespace qtool {
namespace {

// Scores [N, C, …] seen as [N, C, D].
struct Scores {
  int64_t batch, classes, inner;
  int64_t at(int64_t n, int64_t c, int64_t d) const { return (n * classes + c) * inner + d; }
};

Scores view_scores(const Call& call) {
  const Shape &x = call.in(0).shape(), &labels = call.in(1).shape();
  require(x.size() >= 2, call, "scores ", shape_text(x), " have no classes");
  Shape expected = x;
  expected.erase(expected.begin() + 1);
  require(labels == expected, call, "labels ", shape_text(labels), " for scores ", shape_text(x));
  return {x[0], x[1], element_count(Shape(x.begin() + 2, x.end()))};
}

// The weighted losses of log probabilities, reduced as the attribute says.
template <typename T>
Tensor likelihood_loss(const Call& call, const Scores& s, const T* log_probability) {
  const std::string reduction = call.text("reduction", "mean");
  require(reduction == "none" || reduction == "sum" || reduction == "mean", call, "reduction '",
          printable(reduction), "' is not known");
  const bool ignores = find_attribute(call.node, "ignore_index") != nullptr;
  const int64_t ignored = call.integer("ignore_index", 0);
  const std::vector<int64_t> labels = index_data(call, 1);
  const T* weights = call.has(2) ? input_data<T>(call, 2).data() : nullptr;
  require(!weights || call.in(2).shape() == Shape{s.classes}, call, "weights for ", s.classes,
          " classes");
  Tensor losses(dtype_of<T>(), call.in(1).shape());
  T* loss = losses.mutable_data<T>().data();
  double sum = 0, weight_sum = 0;
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t d = 0; d < s.inner; ++d) {
      const int64_t i = n * s.inner + d, label = labels[static_cast<size_t>(i)];
      if (ignores && label == ignored) continue;
      require(label >= 0 && label < s.classes, call, "label ", label, " of ", s.classes,
              " classes");
      const double weight = weights ? static_cast<double>(weights[label]) : 1;
      const double value = -static_cast<double>(log_probability[s.at(n, label, d)]) * weight;
      loss[i] = static_cast<T>(value);
      sum += value;
      weight_sum += weight;
    }
  }
  if (reduction == "none") return losses;
  return Tensor::scalar(static_cast<T>(reduction == "sum" ? sum : sum / weight_sum));
}

std::vector<Tensor> eval_likelihood(const Call& call) {
  const Scores s = view_scores(call);
  return {with_float(call, call.in(0).dtype(), [&](auto zero) {
    return likelihood_loss(call, s, input_data<decltype(zero)>(call, 0).data());
  })};
}

std::vector<Tensor> eval_cross_entropy(const Call& call) {
  const Scores s = view_scores(call);
  Tensor log_probability = call.in(0);
  const Tensor loss = with_float(call, log_probability.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* x = log_probability.mutable_data<T>().data();
    for (int64_t n = 0; n < s.batch; ++n) {
      for (int64_t d = 0; d < s.inner; ++d) {
        double peak = -INFINITY, sum = 0;
        for (int64_t c = 0; c < s.classes; ++c)
          peak = std::max(peak, static_cast<double>(x[s.at(n, c, d)]));
        for (int64_t c = 0; c < s.classes; ++c)
          sum += std::exp(static_cast<double>(x[s.at(n, c, d)]) - peak);
        const double base = peak + std::log(sum);
        for (int64_t c = 0; c < s.classes; ++c) {
          T& v = x[s.at(n, c, d)];
          v = static_cast<T>(static_cast<double>(v) - base);
        }
      }
    }
    return likelihood_loss<T>(call, s, x);
  });
  return {loss, log_probability};
}

constexpr QuantRule kLoss{.reason = "a training loss stays in float"};

}  // namespace

extern const OpDef kNegativeLogLikelihoodLoss{.type = "NegativeLogLikelihoodLoss",
                                              .since = 12,
                                              .eval = half_as_float<eval_likelihood>,
                                              .quant = kLoss};
extern const OpDef kSoftmaxCrossEntropyLoss{.type = "SoftmaxCrossEntropyLoss",
                                            .since = 12,
                                            .eval = half_as_float<eval_cross_entropy>,
                                            .quant = kLoss};

}  // namespace qtool
